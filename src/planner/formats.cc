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

// Why results may lie in a format: kernels that read and write in it are faster for it, or, where
// the network has none of those, kernels write in it at no cost, and views of that are dense.
enum class Use : uint8_t { kNone, kMade, kReadAlike };

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
        copied_formats_(fusion_.groups.size()),
        variable_of_group_(fusion_.groups.size()) {
    for (auto& views : views_) views.resize(graph.value_count());
  }

  void run() {
    find_uses();
    if (std::ranges::all_of(uses_, [](Use use) { return use == Use::kNone; })) return;
    for (size_t g = 0; g < fusion_.groups.size(); ++g) {
      copied_formats_[g] = copied_formats(g);
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
    std::vector<size_t> formats;  // to choose from, row-major first
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

  // Whether the group's kernel can leave its result in a format that is another order than
  // row-major.
  bool writes(size_t group, Format format) const {
    const ir::Node& node = root(group);
    if (node.outputs.size() != 1 || capabilities::is_view_op(node.op)) return false;
    const size_t rank = graph_.type(node.outputs[0]).rank();
    if (memory_order(format, rank) == memory_order(Format::kRowMajor, rank)) return false;
    const capabilities::FusionGroup& g = fusion_.groups[group];
    const ir::ValueId made = g.anchor.valid() ? graph_.node(g.anchor).outputs[0] : node.outputs[0];
    return capabilities_.writes(kernel_op(group), graph_.type(made).dtype, format);
  }
  bool reads_as_result(size_t group) const {
    return capabilities_.reads_as_result(kernel_op(group), 0);
  }

  // A reshape of what lies in another order is a copy, which may lie as it likes: the formats that
  // are not row-major. None where it is a view.
  std::vector<size_t> copied_formats(size_t group) {
    const ir::Node& node = root(group);
    if (node.op != "reshape") return {};
    const ir::ValueId input = node.inputs[0];
    for (const size_t f : formats_of(base_group(input))) {
      if (capabilities::view_of(graph_, node, 0, view(input, f))) return {};
    }
    std::vector<size_t> formats;
    for (size_t f = 0; f < kFormatCount; ++f) {
      if (uses_[f] != Use::kReadAlike) continue;
      const auto as_if = capabilities::view_of(
          graph_, node, 0, {input, 0, dense_strides(kFormats[f], graph_.type(input).shape)});
      const Shape& shape = graph_.type(node.outputs[0]).shape;
      if (as_if && capabilities::has_format(kFormats[f], *as_if, shape)) formats.push_back(f);
    }
    return formats;
  }
  bool copies(size_t group) const { return !copied_formats_[group].empty(); }

  // What takes elements in any order gains by none.
  void find_uses() {
    for (size_t g = 0; g < fusion_.groups.size(); ++g) {
      for (size_t f = 0; f < kFormatCount; ++f) {
        if (!writes(g, kFormats[f])) continue;
        const bool alike = reads_as_result(g);
        if (alike && capabilities_.reads_strided(kernel_op(g), 0)) continue;
        uses_[f] = std::max(uses_[f], alike ? Use::kReadAlike : Use::kMade);
      }
    }
  }

  // Whether the group's result may lie in a format that its kernel can write: where no kernel is
  // faster for it, chains have it from what they read.
  bool is_of_use(size_t group, size_t format) const {
    if (uses_[format] != Use::kMade) return uses_[format] == Use::kReadAlike;
    if (!reads_as_result(group)) return true;
    for (const ir::NodeId member : fusion_.groups[group].nodes) {
      for (const ir::ValueId input : graph_.node(member).inputs) {
        if (!input.valid() || inside(group, input)) continue;
        const std::span<const size_t> formats = formats_of(base_group(input));
        if (std::ranges::find(formats, format) != formats.end()) return true;
      }
    }
    return false;
  }

  void add_variable(size_t group) {
    Variable variable{group, {0}};
    for (size_t f = 0; f < kFormatCount; ++f) {
      if (!writes(group, kFormats[f]) || !is_of_use(group, f)) continue;
      variable.formats.push_back(f);
    }
    for (const size_t f : copied_formats_[group]) variable.formats.push_back(f);
    if (variable.formats.size() == 1) return;
    const capabilities::FusionGroup& g = fusion_.groups[group];
    const ir::Node& node = g.anchor.valid() ? graph_.node(g.anchor) : root(group);
    // What reads its operands in any order takes as long for all results.
    const bool is_timed =
        !copies(group) && !registry_.at(node.op).is_elementwise() && reads_as_result(group);
    for (const size_t f : variable.formats) {
      if (f != 0) variable.costs[f] = kPreference;
      if (is_timed) variable.costs[f] += op_us(node, kFormats[f]);
    }
    variable_of_group_[group] = variables_.size();
    variables_.push_back(std::move(variable));
  }

  // Those that the group chooses from: row-major alone, where it has no choice.
  std::span<const size_t> formats_of(std::optional<size_t> group) const {
    static constexpr size_t kRowMajorAlone[] = {0};
    if (!group || !variable_of_group_[*group]) return kRowMajorAlone;
    return variables_[*variable_of_group_[*group]].formats;
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
           !copies(fusion_.group_of_node[producer.index()]);
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
    return misfit_us(value, format, wanted, cost::copy_us);
  }
  // The same of a chain, which may read it as it lies.
  double chain_misfit_us(ir::ValueId value, size_t format, Format wanted) {
    const bool across = capabilities_.reads_across("fused_elementwise");
    return misfit_us(value, format, wanted, across ? cost::across_us : cost::copy_us);
  }
  double misfit_us(ir::ValueId value, size_t format, Format wanted, decltype(cost::copy_us)* us) {
    const View& lies = view(value, format);
    const Shape& shape = graph_.type(value).shape;
    if (capabilities::has_format(wanted, lies, shape)) return 0;
    const Dim run = capabilities::contiguous_elements(lies, shape, wanted);
    return us(machine_, devices_, static_cast<double>(type(value).bytes().constant()),
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
    for (const size_t b : formats_of(base)) {
      for (const size_t r : formats_of(reader)) costs[b][r] = us(b, kFormats[r]);
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

  // A reshape is a view of its operand as that lies, or else of a copy.
  void add_read_of_view(const ir::Node& node) {
    if (node.op != "reshape") return;
    const ir::ValueId value = node.inputs[0];
    add_read(value, std::nullopt, [&](size_t lies, Format) {
      if (capabilities::view_of(graph_, node, 0, view(value, lies))) return 0.0;
      return misfit_us(value, lies, capabilities::copied_format(graph_, node));
    });
  }

  void add_reads(size_t group) {
    if (capabilities::is_view_op(root(group).op) && !copies(group)) {
      add_read_of_view(root(group));
      return;
    }
    for (const ir::NodeId member : fusion_.groups[group].nodes) {
      const ir::Node& node = graph_.node(member);
      const bool chain = registry_.at(node.op).is_elementwise();
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ir::ValueId value = node.inputs[i];
        if (!value.valid() || inside(group, value) || is_stretched(value)) continue;
        // What reads any view, and has a choice, may be fastest on one that lies as its result.
        const bool strided = !chain && capabilities_.reads_strided(node.op, i);
        const bool follows = variable_of_group_[group] && capabilities_.reads_as_result(node.op, i);
        if (strided && !follows) continue;
        add_read(value, group, [&](size_t lies, Format result) {
          if (chain) return chain_misfit_us(value, lies, result);
          if (strided || copies(group)) return misfit_us(value, lies, result);
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
        for (const size_t f : variable.formats) {
          variable.costs[f] = static_cast<double>(generator() % 1000);
        }
      }
      pairs_.clear();
    }
    solver::CostNetwork network;
    std::vector<solver::VariableId> ids;
    for (const Variable& variable : variables_) {
      std::vector<double> costs;
      for (const size_t f : variable.formats) costs.push_back(variable.costs[f]);
      ids.push_back(network.add_variable(costs));
    }
    for (const Pair& pair : pairs_) {
      std::vector<double> table;
      for (const size_t a : variables_[pair.a].formats) {
        for (const size_t b : variables_[pair.b].formats) table.push_back(pair.costs[a][b]);
      }
      network.add_pairwise(ids[pair.a], ids[pair.b], table);
    }
    solver::Options options;
    options.step_budget = options_.step_budget;
    const solver::Solution solution = solver::solve(network, options);
    CLEAVE_CHECK(solution.feasible, "no formats were found");
    std::vector<size_t> chosen;  // by variable
    for (size_t v = 0; v < variables_.size(); ++v) {
      chosen.push_back(variables_[v].formats[solution.values[v]]);
      for (const ir::NodeId member : fusion_.groups[variables_[v].group].nodes) {
        for (const ir::ValueId made : graph_.node(member).outputs) {
          graph_.value(made).format = kFormats[chosen[v]];
        }
      }
    }
    name_views(chosen);
  }

  // A view that lies in another format without gaps keeps that where it is resharded.
  void name_views(const std::vector<size_t>& chosen) {
    for (const ir::NodeId id : graph_.order()) {
      if (!is_view(graph_.node(id).outputs[0])) continue;
      for (const ir::ValueId output : graph_.node(id).outputs) {
        const auto base = base_group(output);
        const size_t format = base ? chosen[*variable_of_group_[*base]] : 0;
        const Shape& shape = graph_.type(output).shape;
        const View& lies = view(output, format);
        if (capabilities::is_dense(lies, shape)) continue;
        for (size_t f = 0; f < kFormatCount; ++f) {
          if (uses_[f] == Use::kNone || !capabilities::has_format(kFormats[f], lies, shape))
            continue;
          graph_.value(output).format = kFormats[f];
          break;
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
  std::array<Use, kFormatCount> uses_{};
  std::vector<std::vector<size_t>> copied_formats_;  // by group
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
