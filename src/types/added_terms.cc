#include "types/added_terms.h"

#include <algorithm>

namespace cleave {
namespace {

// A value of the chain as far as it is a sum of operands.
struct Sum {
  std::vector<int32_t> terms;  // 0: the product
  std::string function;

  bool has_product() const { return std::find(terms.begin(), terms.end(), 0) != terms.end(); }
};

// What the step makes of its arguments; nothing where that is no such sum.
std::optional<Sum> value_of(const FusedStep& step, const std::vector<Sum>& values, int64_t rank) {
  if (step.alpha != 0) return std::nullopt;
  const auto argument = [&](size_t i) -> const Sum& {
    return values[static_cast<size_t>(step.args[i])];
  };
  for (size_t i = 0; i < step.args.size(); ++i) {
    if (!argument(i).function.empty()) return std::nullopt;
  }
  Sum sum = argument(0);
  if (step.op == "rank_zero") {
    if (sum.has_product()) return std::nullopt;
    if (rank != 0) sum.terms.clear();
    return sum;
  }
  if (step.op == "add") {
    const std::vector<int32_t>& more = argument(1).terms;
    sum.terms.insert(sum.terms.end(), more.begin(), more.end());
    return sum;
  }
  if (step.args.size() != 1 || step.op == "cast" || !sum.has_product()) return std::nullopt;
  sum.function = step.op;
  return sum;
}

}  // namespace

std::optional<AddedTerms> AddedTerms::of(const FusedProgram& chain, int64_t rank) {
  if (chain.inputs < 1 || chain.outputs.size() != 1 || chain.steps.empty()) return std::nullopt;
  std::vector<Sum> values;
  for (int32_t i = 0; i < chain.inputs; ++i) values.push_back({.terms = {i}});
  for (const FusedStep& step : chain.steps) {
    auto value = value_of(step, values, rank);
    if (!value || step.type != chain.steps[0].type) return std::nullopt;
    values.push_back(std::move(*value));
  }
  const Sum& result = values[static_cast<size_t>(chain.outputs[0])];
  AddedTerms added{.function = result.function};
  for (const int32_t term : result.terms) {
    if (term != 0) added.terms.push_back(term);
  }
  std::vector<int32_t> distinct = result.terms;
  std::sort(distinct.begin(), distinct.end());
  const bool once = std::adjacent_find(distinct.begin(), distinct.end()) == distinct.end();
  if (!once || !result.has_product()) return std::nullopt;
  return added;
}

}  // namespace cleave
