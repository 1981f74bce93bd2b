#include "ops/reshape/factorise.h"

#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::DimFactors;
using layout::Factor;
using layout::ShardingRule;

// A dimension of one side.
struct Extent {
  size_t dim;
  Dim size;
};
using Extents = std::vector<Extent>;

// Dimensions of 1 are no part of any factor.
Extents long_dimensions(const Shape& shape) {
  Extents extents;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!shape[d].is(1)) extents.push_back({d, shape[d]});
  }
  return extents;
}

// Lengths of the shortest prefixes of equal products (suffixes where `backwards`).
struct Match {
  size_t from = 0;
  size_t to = 0;
};
std::optional<Match> shortest_match(const Extents& from, const Extents& to, bool backwards) {
  const auto products = [&](const Extents& extents) {
    std::vector<Dim> result;
    Dim product = 1;
    for (size_t i = 0; i < extents.size(); ++i) {
      product *= extents[backwards ? extents.size() - 1 - i : i].size;
      result.push_back(product);
    }
    return result;
  };
  const std::vector<Dim> a = products(from);
  const std::vector<Dim> b = products(to);
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      if (a[i] == b[j]) return Match{i + 1, j + 1};
    }
  }
  return std::nullopt;
}

// The largest factor that is provably common to both; 1 where there is none.
Dim common_factor(const Dim& a, const Dim& b) {
  if (exact_div(a, b)) return b;
  if (exact_div(b, a)) return a;
  if (a.is_constant() && b.is_constant()) return std::gcd(a.constant(), b.constant());
  return 1;
}

class Factoriser {
 public:
  Factoriser(const Shape& from, const Shape& to) {
    rule_.inputs.emplace_back(from.size());
    rule_.outputs.emplace_back(to.size());
    Extents a = long_dimensions(from);
    Extents b = long_dimensions(to);
    const auto take = [](Extents& extents, size_t count, bool backwards) {
      const auto begin =
          backwards ? extents.end() - static_cast<ptrdiff_t>(count) : extents.begin();
      const Extents taken(begin, begin + static_cast<ptrdiff_t>(count));
      extents.erase(begin, begin + static_cast<ptrdiff_t>(count));
      return taken;
    };
    for (bool backwards : {false, true}) {
      while (const auto match = shortest_match(a, b, backwards)) {
        const Extents from_group = take(a, match->from, backwards);
        const Extents to_group = take(b, match->to, backwards);
        refine(from_group, to_group);
      }
    }
    // What is left has products that are not provably equal, but no sizes in common either.
    leave_whole(rule_.inputs[0], a, 0);
    leave_whole(rule_.outputs[0], b, 0);
    add_ones();
  }

  ShardingRule take() { return std::move(rule_); }

 private:
  // Splits off the common major factors of both sides until nothing is left.
  void refine(Extents from, Extents to) {
    size_t i = 0;
    size_t j = 0;
    while (i < from.size() && j < to.size()) {
      const Dim common = common_factor(from[i].size, to[j].size);
      if (common.is(1)) break;
      const uint32_t factor = add(common, Factor::Kind::kParallel);
      rule_.inputs[0][from[i].dim].push_back({.factor = factor});
      rule_.outputs[0][to[j].dim].push_back({.factor = factor});
      from[i].size = *exact_div(from[i].size, common);
      to[j].size = *exact_div(to[j].size, common);
      if (from[i].size.is(1)) ++i;
      if (to[j].size.is(1)) ++j;
    }
    leave_whole(rule_.inputs[0], from, i);
    leave_whole(rule_.outputs[0], to, j);
  }

  // Sizes that the sides do not share are minor factors that only keep count.
  void leave_whole(layout::OperandFactors& operand, const Extents& extents, size_t first) {
    for (size_t i = first; i < extents.size(); ++i) {
      const uint32_t factor = add(extents[i].size, Factor::Kind::kReplicate);
      operand[extents[i].dim].push_back({.factor = factor});
    }
  }

  // A dimension that has factors, and the dimensions of 1 right before it.
  struct Longer {
    size_t dim;
    std::vector<size_t> ones;
  };
  // By the first factor.
  static std::map<uint32_t, Longer> longer_dimensions(const layout::OperandFactors& operand) {
    std::map<uint32_t, Longer> result;
    std::vector<size_t> ones;
    for (size_t d = 0; d < operand.size(); ++d) {
      if (operand[d].empty()) {
        ones.push_back(d);
      } else {
        result[operand[d][0].factor] = {d, std::exchange(ones, {})};
      }
    }
    return result;
  }

  // A dimension of 1 is the other side's, where it has one before the same elements; else a major
  // factor of these. Ranks may all hold the one element, as they do a key head that all query heads
  // share; then they hold all elements behind it.
  void add_ones() {
    const auto attach = [](layout::OperandFactors& operand, Longer& longer, uint32_t one) {
      const layout::FactorUse use{.factor = one};
      if (longer.ones.empty()) {
        operand[longer.dim].insert(operand[longer.dim].begin(), use);
      } else {
        operand[longer.ones.back()] = {use};
        longer.ones.pop_back();
      }
    };
    auto outputs = longer_dimensions(rule_.outputs[0]);
    auto inputs = longer_dimensions(rule_.inputs[0]);
    for (auto& [first, from] : inputs) {
      const auto to = outputs.find(first);
      if (to == outputs.end()) continue;
      while (!from.ones.empty() || !to->second.ones.empty()) {
        const uint32_t one = add(1, Factor::Kind::kParallel);
        attach(rule_.inputs[0], from, one);
        attach(rule_.outputs[0], to->second, one);
      }
    }
  }

  uint32_t add(const Dim& size, Factor::Kind kind) {
    return rule_.add_factor("f" + std::to_string(rule_.factors.size()), size, kind);
  }

  ShardingRule rule_;
};

}  // namespace

ShardingRule factorise(const Shape& from, const Shape& to) {
  for (const Shape* shape : {&from, &to}) {
    for (const Dim& extent : *shape) {
      if (!extent.is(0)) continue;
      // Without elements nothing follows from equal products.
      ShardingRule rule;
      rule.inputs.emplace_back(from.size());
      rule.outputs.emplace_back(to.size());
      return rule;
    }
  }
  return Factoriser(from, to).take();
}

}  // namespace cleave::ops
