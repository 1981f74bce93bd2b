#include "partition/partition.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/check.h"
#include "layout/reshard.h"
#include "ops/builder.h"

namespace cleave::partition {
namespace {

using layout::Placement;

class Partitioner {
 public:
  Partitioner(const ir::Graph& graph, const planner::Plan& plan, const ops::Registry& registry)
      : graph_(graph),
        plan_(plan),
        registry_(registry),
        uses_(graph.uses()),
        copies_(graph.value_count()) {}

  Partitioned run() {
    local_.bounds() = graph_.bounds();
    local_.guards() = graph_.guards();
    for (ir::ValueId input : graph_.inputs()) {
      const ir::Value& value = graph_.value(input);
      const ir::ValueId local = local_.add_input(value.name, value.type);
      made(input, Placement::replicate(), local, -1);
    }
    for (ir::NodeId id : graph_.order()) place(id);
    for (ir::ValueId output : graph_.outputs()) {
      local_.add_output(get(output, Placement::replicate(), -1));
    }
    return {std::move(local_), std::move(origins_)};
  }

 private:
  struct Held {
    Placement placement;
    ir::ValueId value;
  };

  void note(ir::ValueId local, ir::ValueId whole, const Placement& placement) {
    origins_.resize(std::max(origins_.size(), local_.value_count()));
    origins_[local.index()] = {whole, placement};
  }

  // `value` is there in a placement: its further copies are made at once.
  void made(ir::ValueId value, const Placement& placement, ir::ValueId local, int32_t group) {
    copies_[value.index()].push_back({placement, local});
    note(local, value, placement);
    for (const planner::Copy& copy : plan_.copies[value.index()]) {
      const Held* from = find(value, copy.from);
      CLEAVE_CHECK(from != nullptr, "a copy of " + graph_.value(value).name +
                                        " is made from a layout that is not there");
      if (find(value, copy.to) != nullptr) continue;
      const ir::ValueId result = reshard(value, *from, copy.to, group);
      copies_[value.index()].push_back({copy.to, result});
    }
  }

  const Held* find(ir::ValueId value, const Placement& placement) const {
    for (const Held& held : copies_[value.index()]) {
      if (held.placement == placement) return &held;
    }
    return nullptr;
  }

  ir::ValueId reshard(ir::ValueId value, const Held& from, const Placement& to, int32_t group) {
    const auto path = layout::reshard_path(graph_.type(value), from.placement, to, plan_.ranks);
    CLEAVE_CHECK(path.has_value(),
                 "no way to lay " + graph_.value(value).name + " as " + to.text());
    ir::ValueId at = from.value;
    for (const layout::ReshardStep& step : *path) {
      const TensorType type =
          layout::local_type(graph_.type(value), step.to, Dim::rank(), plan_.ranks);
      const ir::NodeId node = local_.add_node(graph_.value(value).name + "/" + step.op, step.op,
                                              step.attributes, {at}, {type});
      // A step without communication belongs to the kernel that reads it.
      local_.node(node).group = step.is_collective() ? -1 : group;
      at = local_.node(node).outputs[0];
      local_.value(at).format = resharded_format(value);
      note(at, value, step.to);
    }
    return at;
  }

  // What leaves the model is row-major at the end: it is brought to that where ranks have parts of
  // it, unless it is read here too.
  Format resharded_format(ir::ValueId value) const {
    const bool leaves = graph_.is_output(value) && uses_[value.index()].empty();
    return leaves ? Format::kRowMajor : graph_.value(value).format;
  }

  // The local value of `value` laid as `placement`, for a reader in `group`.
  ir::ValueId get(ir::ValueId value, const Placement& placement, int32_t group) {
    if (graph_.value(value).is_constant()) return constant(value, placement, group);
    if (const Held* held = find(value, placement)) return held->value;
    // Copies with communication are there by plan; the reader cuts its part without any.
    for (const Held& held : copies_[value.index()]) {
      const auto path =
          layout::reshard_path(graph_.type(value), held.placement, placement, plan_.ranks);
      if (path && layout::is_local(*path)) return reshard(value, held, placement, group);
    }
    internal_error("the plan provides no " + placement.text() + " of " + graph_.value(value).name,
                   __FILE__, __LINE__);
  }

  ir::ValueId constant(ir::ValueId id, const Placement& placement, int32_t group) {
    if (const Held* held = find(id, placement)) return held->value;
    if (placement.is_partial()) {
      if (const auto term = term_of(id, placement)) return *term;
      const ir::ValueId whole = constant(id, Placement::replicate(), group);
      return reshard(id, {Placement::replicate(), whole}, placement, group);
    }
    const ir::Value& value = graph_.value(id);
    ir::ValueId local;
    if (placement.is_replicate()) {
      local = local_.add_constant(value.name, value.constant);
    } else {
      std::vector<std::vector<ir::Value::Piece>> pieces;
      for (size_t d = 0; d < value.type.rank(); ++d) {
        std::vector<ir::Value::Piece> held;
        if (d == static_cast<size_t>(placement.dim)) {
          for (const layout::Piece& piece : placement.cut.pieces(Dim::rank(), plan_.ranks)) {
            held.push_back({piece.begin, piece.extent});
          }
        } else {
          held.push_back({0, value.type.shape[d]});
        }
        pieces.push_back(std::move(held));
      }
      local = local_.add_local_constant(
          value.name, layout::local_type(value.type, placement, Dim::rank(), plan_.ranks),
          value.constant, std::move(pieces));
    }
    hold(id, placement, local);
    return local;
  }

  // A small constant that enters on rank 0 alone, a bias, is zeros in the engine's parts of the
  // others: nothing is left to do when it runs.
  std::optional<ir::ValueId> term_of(ir::ValueId id, const Placement& placement) {
    const ir::Value& value = graph_.value(id);
    const std::vector<int64_t>& shape = value.constant->shape();
    if (placement.reduce != ReduceOp::kSum || shape.empty() ||
        value.constant->bytes() > ir::kSmallConstantBytes) {
      return std::nullopt;
    }
    const ir::RecipePtr zeros = ir::constant_fill(value.constant->dtype(), shape, 0);
    std::vector<std::vector<ir::Value::Piece>> pieces;
    for (const int64_t extent : shape) pieces.push_back({{0, extent}});
    pieces[0][0].begin = min(Dim::rank(), 1) * Dim(shape[0]);
    const ir::ValueId local = local_.add_local_constant(
        value.name, value.type, ir::concat({value.constant, zeros}, 0), std::move(pieces));
    hold(id, placement, local);
    return local;
  }

  void hold(ir::ValueId id, const Placement& placement, ir::ValueId local) {
    copies_[id.index()].push_back({placement, local});
    note(local, id, placement);
  }

  void place(ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    const planner::NodePlan& how = plan_.nodes[id.index()];
    const auto group = static_cast<int32_t>(plan_.group_of_node[id.index()]);
    std::vector<ir::ValueId> inputs;
    std::vector<TensorType> local_inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i].valid()) {
        inputs.emplace_back();
        local_inputs.emplace_back();
        continue;
      }
      inputs.push_back(get(node.inputs[i], how.placements.inputs[i], group));
      local_inputs.push_back(local_.type(inputs.back()));
    }
    std::vector<TensorType> whole_outputs;
    std::vector<TensorType> local_outputs;
    std::vector<std::string> names;
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const ir::Value& output = graph_.value(node.outputs[o]);
      whole_outputs.push_back(output.type);
      local_outputs.push_back(
          layout::local_type(output.type, how.placements.outputs[o], Dim::rank(), plan_.ranks));
      names.push_back(output.name);
    }
    const ops::NodeContext context(graph_, node);
    const ops::OpContext whole = context.get();
    const ops::OpDefinition& definition = registry_.at(node.op);
    const layout::ShardingRule rule = definition.rule(whole);
    Attributes attributes =
        definition.localize({whole, whole_outputs, rule, how.strategy, how.placements, local_inputs,
                             local_outputs, Dim::rank(), plan_.ranks});
    const ir::NodeId local = local_.add_node(node.name, node.op, std::move(attributes),
                                             std::move(inputs), std::move(local_outputs), names);
    local_.node(local).group = group;
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      local_.value(local_.node(local).outputs[o]).format = graph_.value(node.outputs[o]).format;
      made(node.outputs[o], how.placements.outputs[o], local_.node(local).outputs[o], group);
    }
  }

  const ir::Graph& graph_;
  const planner::Plan& plan_;
  const ops::Registry& registry_;
  const std::vector<std::vector<ir::Graph::Use>> uses_;  // by value of the whole graph
  ir::Graph local_;
  std::vector<Origin> origins_;            // by value of the local graph
  std::vector<std::vector<Held>> copies_;  // by value of the whole graph
};

}  // namespace

Partitioned partition(const ir::Graph& graph, const planner::Plan& plan,
                      const ops::Registry& registry) {
  return Partitioner(graph, plan, registry).run();
}

std::vector<int64_t> constant_shape(const ir::Value& value, int64_t rank) {
  if (value.pieces.empty()) return value.constant->shape();
  const SymbolValues values = {{std::string(kRankSymbol), rank}};
  std::vector<int64_t> shape;
  for (const auto& pieces : value.pieces) {
    int64_t extent = 0;
    for (const ir::Value::Piece& piece : pieces) extent += piece.extent.evaluate(values);
    shape.push_back(extent);
  }
  return shape;
}

}  // namespace cleave::partition
