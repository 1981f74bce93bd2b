#include "compiler/profile.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/log.h"

namespace cleave::compiler {
namespace {

[[noreturn]] void fail(const InputProfile& input, const std::string& what) {
  throw Error(ErrorCode::kUsage, "the shapes given for input '" + input.name + "' " + what,
              "give --minShapes, --optShapes and --maxShapes as NAME:1x128");
}

void check_order(const InputProfile& input) {
  for (size_t d = 0; d < input.opt.size(); ++d) {
    if (input.min[d] < 0 || input.min[d] > input.opt[d] || input.opt[d] > input.max[d]) {
      fail(input, "are not min <= opt <= max in dimension " + std::to_string(d));
    }
  }
}

// No run has sizes that contradict each other, and nothing is to be planned for them.
void check_guards(const ir::Graph& graph, const std::vector<program::Symbol>& symbols) {
  const SymbolValues usual = values_of(symbols, &program::Symbol::opt);
  const SizeGuard* const broken = broken_guard(graph.guards(), usual);
  if (broken == nullptr) return;
  std::string sizes;
  for (const program::Symbol& symbol : symbols) {
    sizes += (sizes.empty() ? "" : ", ") + symbol.name + " = " + std::to_string(symbol.opt);
  }
  throw Error(
      ErrorCode::kUsage,
      "the model cannot have these sizes: with " + sizes + ", " + broken->what_is_wrong(usual),
      "give others for the inputs (--shapes, or --minShapes, --optShapes and "
      "--maxShapes)")
      .at(broken->where);
}

}  // namespace

std::vector<program::Symbol> make_symbols(const ir::Graph& graph, const BuilderConfig& config) {
  std::map<std::string, program::Symbol> symbols;
  for (const InputProfile& given : config.profile) {
    const auto value = graph.find_value(given.name);
    const auto& inputs = graph.inputs();
    if (!value || std::find(inputs.begin(), inputs.end(), *value) == inputs.end()) {
      fail(given, "are for no input of the model");
    }
    const Shape& shape = graph.type(*value).shape;
    if (given.min.size() != shape.size() || given.opt.size() != shape.size() ||
        given.max.size() != shape.size()) {
      fail(given, "have another number of dimensions than " + text_of(shape));
    }
    check_order(given);
    for (size_t d = 0; d < shape.size(); ++d) {
      const program::Symbol sizes{shape[d].text(), given.min[d], given.opt[d], given.max[d]};
      if (const auto fixed = shape[d].as_constant()) {
        if (sizes.min != *fixed || sizes.max != *fixed) {
          fail(given,
               "differ from the model's " + text_of(shape) + " in dimension " + std::to_string(d));
        }
        continue;
      }
      const auto [at, added] = symbols.emplace(sizes.name, sizes);
      if (!added && at->second != sizes) {
        fail(given, "contradict another input's in '" + sizes.name + "'");
      }
    }
  }
  std::set<std::string, std::less<>> used;
  for (ir::ValueId id : graph.inputs()) {
    for (const Dim& dim : graph.type(id).shape) dim.collect_symbols(used);
  }
  std::vector<program::Symbol> result;
  for (const std::string& name : used) {
    const auto at = symbols.find(name);
    if (at != symbols.end()) {
      result.push_back(at->second);
      continue;
    }
    log(config.log, LogLevel::kWarning,
        "the dimension '" + name + "' is dynamic and not given; taken as 1 (see --shapes)");
    result.push_back({name, 1, 1, 1});
  }
  check_guards(graph, result);
  return result;
}

}  // namespace cleave::compiler
