#include "planner/formats.h"

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <utility>

#include "base/check.h"
#include "capabilities/fusion.h"
#include "capabilities/view_walk.h"
#include "cost/kernel_cost.h"
#include "planner/group_cost.h"
#include "planner/sizes.h"
#include "planner/solver/solver.h"

namespace cleave::planner {
namespace {

using capabilities::View;

constexpr size_t kFormatCount = std::size(kFormats);
using ByFormat = std::array<double, kFormatCount>;

// Where all else is equal, tensors are row-major.
constexpr double kPreference = 1e-3;

class FormatChooser {
 public:
  FormatChooser(ir::Graph& graph, const ops::Registry& registry,
                const capabilities::Capabilities& capabilities, const cost::MachineModel& machine,
                const Options& options)
      : graph_(graph),
        registry_(registry),
        capabilities_(capabilities),
        machine_(machine),
        options_(options),
        devices_(std::max(options.ranks, options.devices)),
        sizes_(graph, options.points, options.opt, options.ranks),
        fusion_(capabilities::fuse(graph, registry, capabilities)),
        copies_(fusion_.groups.size()),
        variable_of_group_(fusion_.groups.size()) {
    for (auto& views : views_) views.resize(graph.value_count());
  }

  void run() {
    if (!has_choice()) return;
    for (size_t g = 0; g < fusion_.groups.size(); ++g) {
      copies_[g] = copies(g);
      add_variable(g);
    }
    for (size_t g = 0; g < fusion_.groups.size(); ++g) add_reads(g);
    for (const ir::ValueId output : graph_.outputs()) {
      add_read(output, std::nullopt,
               [&](size_t lies, Format) { return misfit_us(output, lies, Format::kRowMajor); });
    }
    solve();
  }

 private:
  struct Variable {
    size_t group;
    ByFormat costs{};
  };

  const ir::Node& root(size_t group) const { return graph_.node(fusion_.groups[group].root()); }

  // The op whose kernel the group runs.
  std::string_view kernel_op(size_t group) const {
    const capabilities::FusionGroup& g = fusion_.groups[group];
    if (g.anchor.valid()) return graph_.node(g.anchor).op;
    const std::string& op = root(group).op;
    return registry_.at(op).is_elementwise() ? std::string_view("fused_elementwise") : op;
  }

  bool writes_channels_last(size_t group) const {
    const ir::Node& node = root(group);
    if (node.outputs.size() != 1 || capabilities::is_view_op(node.op)) return false;
    const capabilities::FusionGroup& g = fusion_.groups[group];
    const ir::ValueId made = g.anchor.valid() ? graph_.node(g.anchor).outputs[0] : node.outputs[0];
    return graph_.type(node.outputs[0]).rank() > 2 &&
           capabilities_.writes(kernel_op(group), graph_.type(made).dtype, Format::kChannelsLast);
  }

  // A reshape of what lies in another order is a copy, which may lie as it likes.
  bool copies(size_t group) {
    const ir::Node& node = root(group);
    if (node.op != "reshape") return false;
    for (size_t f = 0; f < kFormatCount; ++f) {
      if (capabilities::view_of(graph_, node, 0, view(node.inputs[0], f))) return false;
    }
    const auto as_if = capabilities::view_of(
        graph_, node, 0,
        {node.inputs[0], 0,
         dense_strides(Format::kChannelsLast, graph_.type(node.inputs[0]).shape)});
    return as_if && capabilities::has_format(Format::kChannelsLast, *as_if,
                                             graph_.type(node.outputs[0]).shape);
  }

  // Only kernels that read what they write in one format gain by another.
  bool has_choice() const {
    for (size_t g = 0; g < fusion_.groups.size(); ++g) {
      if (writes_channels_last(g) && capabilities_.reads_as_result(kernel_op(g), 0)) return true;
    }
    return false;
  }

  void add_variable(size_t group) {
    if (!copies_[group] && !writes_channels_last(group)) return;
    variable_of_group_[group] = variables_.size();
    Variable variable{group};
    variable.costs[1] = kPreference;
    const capabilities::FusionGroup& g = fusion_.groups[group];
    const ir::Node& node = g.anchor.valid() ? graph_.node(g.anchor) : root(group);
    if (!copies_[group] && !registry_.at(node.op).is_elementwise()) {
      for (size_t f = 0; f < kFormatCount; ++f) variable.costs[f] += op_us(node, kFormats[f]);
    }
    variables_.push_back(variable);
  }

  TensorType type(ir::ValueId value) const {
    const std::vector<int64_t>& extents = sizes_.whole(value, options_.opt);
    return {graph_.type(value).dtype, Shape(extents.begin(), extents.end())};
  }

  double op_us(const ir::Node& node, Format format) const {
    std::vector<TensorType> inputs;
    std::vector<TensorType> outputs;
    for (const ir::ValueId input : node.inputs) {
      inputs.push_back(input.valid() ? type(input) : TensorType{});
    }
    for (const ir::ValueId output : node.outputs) outputs.push_back(type(output));
    return node_us(graph_, node, registry_, machine_, devices_, inputs, outputs, format);
  }

  // How a value lies where what it is a view of was left in `format`.
  const View& view(ir::ValueId id, size_t format) {
    std::optional<View>& known = views_[format][id.index()];
    if (known) return *known;
    const ir::Value& value = graph_.value(id);
    const Shape& shape = value.type.shape;
    if (is_view(id)) {
      const ir::Node& node = graph_.node(value.producer);
      known = capabilities::view_of(graph_, node, value.output_index, view(node.inputs[0], format));
      if (known) return *known;
    }
    const bool chosen = base_group(id).has_value() && !is_view(id);
    known = View{
        id, 0,
        dense_strides(chosen ? kFormats[format] : Format::kRowMajor, std::span<const Dim>(shape))};
    return *known;
  }

  bool is_view(ir::ValueId id) const {
    const ir::NodeId producer = graph_.value(id).producer;
    return producer.valid() && capabilities::is_view_op(graph_.node(producer).op) &&
           !copies_[fusion_.group_of_node[producer.index()]];
  }

  // The group whose result the value is, or is a view of; none where that has no choice.
  std::optional<size_t> base_group(ir::ValueId id) const {
    while (is_view(id)) id = graph_.node(graph_.value(id).producer).inputs[0];
    const ir::NodeId producer = graph_.value(id).producer;
    if (!producer.valid()) return std::nullopt;
    const size_t group = fusion_.group_of_node[producer.index()];
    return variable_of_group_[group] ? std::optional(group) : std::nullopt;
  }

  // The copy that a reader needs which wants `value` in `wanted`.
  double misfit_us(ir::ValueId value, size_t format, Format wanted) {
    const View& lies = view(value, format);
    const Shape& shape = graph_.type(value).shape;
    if (capabilities::has_format(wanted, lies, shape)) return 0;
    const Dim run = capabilities::contiguous_elements(lies, shape, wanted);
    return cost::copy_us(machine_, devices_, static_cast<double>(type(value).bytes().constant()),
                         std::max<int64_t>(1, run.evaluate(sizes_.values(options_.opt))),
                         size_of(type(value).dtype));
  }

  // `us(b, f)`: the copy for a reader that writes its result in f, where the value lies in b.
  template <class Us>
  void add_read(ir::ValueId value, std::optional<size_t> reader, const Us& us) {
    const std::optional<size_t> base = base_group(value);
    if (base && reader && *base == *reader) return;
    const bool choosing = reader && variable_of_group_[*reader];
    std::array<ByFormat, kFormatCount> costs{};
    for (size_t b = 0; b < kFormatCount; ++b) {
      for (size_t r = 0; r < kFormatCount; ++r) {
        costs[b][r] = us(b, kFormats[r]);
      }
    }
    if (base && choosing) {
      pairs_.push_back({*variable_of_group_[*base], *variable_of_group_[*reader], costs});
      return;
    }
    for (size_t f = 0; f < kFormatCount; ++f) {
      if (base) variables_[*variable_of_group_[*base]].costs[f] += costs[f][0];
      if (choosing) variables_[*variable_of_group_[*reader]].costs[f] += costs[0][f];
    }
  }

  void add_reads(size_t group) {
    if (capabilities::is_view_op(root(group).op) && !copies_[group]) return;
    for (const ir::NodeId member : fusion_.groups[group].nodes) {
      const ir::Node& node = graph_.node(member);
      const bool chain = registry_.at(node.op).is_elementwise();
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ir::ValueId value = node.inputs[i];
        if (!value.valid() || inside(group, value) || is_stretched(value)) continue;
        // What reads any view, and has a choice, is fastest on one that lies as its result does.
        const bool strided = !chain && capabilities_.reads_strided(node.op, i);
        if (strided && !variable_of_group_[group]) continue;
        add_read(value, group, [&](size_t lies, Format result) {
          if (chain || strided || copies_[group]) return misfit_us(value, lies, result);
          const Shape& shape = graph_.type(value).shape;
          if (capabilities::reads(capabilities_, node.op, i, view(value, lies), shape, result)) {
            return 0.0;
          }
          return misfit_us(value, lies,
                           capabilities::format_read(capabilities_, node.op, i, result));
        });
      }
    }
  }

  bool inside(size_t group, ir::ValueId value) const {
    const ir::NodeId producer = graph_.value(value).producer;
    return producer.valid() && fusion_.group_of_node[producer.index()] == group;
  }
  // Small, and read from cache however it lies.
  bool is_stretched(ir::ValueId value) const {
    const ir::NodeId producer = graph_.value(value).producer;
    return producer.valid() && graph_.node(producer).op == "broadcast";
  }

  void solve() {
    if (options_.random_costs) {
      std::mt19937_64 generator(*options_.random_costs);
      for (Variable& variable : variables_) {
        for (double& cost : variable.costs) cost = static_cast<double>(generator() % 1000);
      }
      pairs_.clear();
    }
    solver::CostNetwork network;
    std::vector<solver::VariableId> ids;
    for (const Variable& variable : variables_) ids.push_back(network.add_variable(variable.costs));
    for (const Pair& pair : pairs_) {
      std::vector<double> table;
      for (const ByFormat& row : pair.costs) table.insert(table.end(), row.begin(), row.end());
      network.add_pairwise(ids[pair.a], ids[pair.b], table);
    }
    solver::Options options;
    options.step_budget = options_.step_budget;
    const solver::Solution solution = solver::solve(network, options);
    CLEAVE_CHECK(solution.feasible, "no formats were found");
    for (size_t v = 0; v < variables_.size(); ++v) {
      for (const ir::NodeId member : fusion_.groups[variables_[v].group].nodes) {
        for (const ir::ValueId made : graph_.node(member).outputs) {
          graph_.value(made).format = kFormats[solution.values[v]];
        }
      }
    }
    name_views(solution.values);
  }

  // A view that lies channels-last without gaps keeps that where it is resharded.
  void name_views(const std::vector<uint32_t>& chosen) {
    for (const ir::NodeId id : graph_.order()) {
      if (!is_view(graph_.node(id).outputs[0])) continue;
      for (const ir::ValueId output : graph_.node(id).outputs) {
        const auto base = base_group(output);
        const size_t format = base ? chosen[*variable_of_group_[*base]] : 0;
        const Shape& shape = graph_.type(output).shape;
        const View& lies = view(output, format);
        if (!capabilities::is_dense(lies, shape) &&
            capabilities::has_format(Format::kChannelsLast, lies, shape)) {
          graph_.value(output).format = Format::kChannelsLast;
        }
      }
    }
  }

  struct Pair {
    size_t a;
    size_t b;
    std::array<ByFormat, kFormatCount> costs;
  };

  ir::Graph& graph_;
  const ops::Registry& registry_;
  const capabilities::Capabilities& capabilities_;
  const cost::MachineModel& machine_;
  const Options& options_;
  int64_t devices_;
  Sizes sizes_;
  capabilities::Fusion fusion_;
  std::vector<bool> copies_;  // by group, see `copies`
  std::vector<std::optional<size_t>> variable_of_group_;
  std::vector<Variable> variables_;
  std::vector<Pair> pairs_;
  std::array<std::vector<std::optional<View>>, kFormatCount> views_;  // by format and value
};

}  // namespace

void choose_formats(ir::Graph& graph, const ops::Registry& registry,
                    const capabilities::Capabilities& capabilities,
                    const cost::MachineModel& machine, const Options& options) {
  FormatChooser(graph, registry, capabilities, machine, options).run();
}

}  // namespace cleave::planner
