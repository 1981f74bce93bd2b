// Random cost networks and their minimum by enumeration, for tests and benchmarks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "planner/solver/solver.h"

namespace cleave::solver {

// Seeded numbers that are the same with every standard library.
class RandomNumbers {
 public:
  explicit RandomNumbers(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  bool chance(double probability) { return unit() < probability; }

 private:
  std::mt19937_64 engine_;
};

struct Shape {
  size_t variables = 0;
  std::vector<std::pair<size_t, size_t>> edges;
};

// Trees, chains with skip edges, grids, dense graphs and loose variables.
inline Shape random_shape(RandomNumbers& random) {
  Shape shape;
  const uint64_t kind = random.below(5);
  shape.variables = random.below(9);
  if (kind == 0) {  // tree
    for (size_t i = 1; i < shape.variables; ++i) shape.edges.push_back({random.below(i), i});
  } else if (kind == 1) {  // chain with skip edges
    for (size_t i = 1; i < shape.variables; ++i) {
      shape.edges.push_back({i - 1, i});
      if (i >= 3 && random.chance(0.5)) shape.edges.push_back({i, i - 2 - random.below(i - 2)});
    }
  } else if (kind == 2) {  // grid of two rows
    for (size_t i = 0; i < shape.variables; ++i) {
      if (i % 2 == 1) shape.edges.push_back({i - 1, i});
      if (i >= 2) shape.edges.push_back({i, i - 2});
    }
  } else if (kind == 3) {  // dense
    shape.variables = std::min<size_t>(shape.variables, 6);
    for (size_t i = 0; i < shape.variables; ++i) {
      for (size_t j = 0; j < i; ++j) shape.edges.push_back({i, j});
    }
  } else if (shape.variables > 1) {  // any edges, some of them twice
    for (uint64_t n = random.below(2 * shape.variables); n > 0; --n) {
      const size_t a = random.below(shape.variables);
      const size_t b = random.below(shape.variables - 1);
      shape.edges.push_back({a, b >= a ? b + 1 : b});
    }
  }
  return shape;
}

// Up to 8 variables of up to 5 values. By seed: whole-number costs (many ties) or real ones, none
// or many pairs forbidden, functional tables, sometimes a variable without values; bytes on
// variables and on some edges where asked for.
inline CostNetwork random_network(uint64_t seed, bool with_bytes = false) {
  RandomNumbers random(seed);
  const Shape shape = random_shape(random);
  const bool whole = random.chance(0.5);
  const double forbidden = random.chance(0.4) ? 0.3 * random.unit() : 0;
  const auto cost = [&](double scale) {
    if (random.chance(forbidden)) return kForbidden;
    return whole ? static_cast<double>(random.below(5)) : scale * random.unit();
  };
  const auto bytes = [&] { return static_cast<double>(random.below(whole ? 6 : 1000)); };
  CostNetwork network;
  for (size_t i = 0; i < shape.variables; ++i) {
    const size_t size = random.chance(0.003) ? 0 : 1 + random.below(5);
    std::vector<double> costs(size), use(with_bytes && random.chance(0.8) ? size : 0);
    for (double& c : costs) c = cost(10);
    for (double& b : use) b = bytes();
    network.add_variable(costs, use);
  }
  for (const auto& [from, to] : shape.edges) {
    const VariableId a(from), b(to);
    const size_t columns = network.domain_size(b);
    std::vector<double> costs(network.domain_size(a) * columns);
    const bool functional = random.chance(0.1);
    for (size_t i = 0; i < costs.size(); ++i) {
      costs[i] = cost(6);
      if (functional && i % columns != (i / columns) % columns) costs[i] = kForbidden;
    }
    std::vector<double> use(with_bytes && random.chance(0.3) ? costs.size() : 0);
    for (double& u : use) u = bytes();
    network.add_pairwise(a, b, costs, use);
  }
  return network;
}

// A transformer of `layers` layers of 18 variables (5 to 50 values, 1 to 4 neighbours), shaped as
// its fusion groups and copy variables are. With `equal_layers` all layers have the same tables.
inline CostNetwork transformer_network(size_t layers, bool equal_layers, uint64_t seed) {
  // Positions in a layer; kNext is position 0 of the layer that follows.
  enum {
    kIn,
    kNorm,
    kNormCopy,
    kQ,
    kK,
    kV,
    kRotaryQ,
    kRotaryK,
    kAttention,
    kProject,
    kAdd,
    kAddCopy,
    kNorm2,
    kNorm2Copy,
    kGate,
    kUp,
    kMultiply,
    kDown,
    kNext
  };
  static constexpr std::pair<size_t, size_t> kEdges[] = {
      {kIn, kNorm},         {kNorm, kNormCopy},     {kNormCopy, kQ},
      {kNormCopy, kK},      {kNormCopy, kV},        {kQ, kRotaryQ},
      {kK, kRotaryK},       {kRotaryQ, kAttention}, {kRotaryK, kAttention},
      {kV, kAttention},     {kAttention, kProject}, {kProject, kAdd},
      {kIn, kAdd},          {kAdd, kAddCopy},       {kAddCopy, kNorm2},
      {kNorm2, kNorm2Copy}, {kNorm2Copy, kGate},    {kNorm2Copy, kUp},
      {kGate, kMultiply},   {kUp, kMultiply},       {kMultiply, kDown},
      {kDown, kNext},       {kAddCopy, kNext}};
  CostNetwork network;
  std::vector<size_t> sizes(kNext);
  RandomNumbers shape(seed);
  for (size_t& size : sizes) size = 5 + shape.below(46);
  const auto costs = [](RandomNumbers& random, size_t size, double scale) {
    std::vector<double> result(size);
    for (double& cost : result) cost = random.chance(0.1) ? 0 : scale * random.unit();
    return result;
  };
  for (size_t layer = 0; layer <= layers; ++layer) {
    RandomNumbers random(equal_layers ? seed : seed + 1 + layer);
    const size_t count = layer == layers ? 1 : sizes.size();
    for (size_t i = 0; i < count; ++i) {
      network.add_variable(costs(random, sizes[i], 100), costs(random, sizes[i], 1e6));
    }
  }
  for (size_t layer = 0; layer < layers; ++layer) {
    RandomNumbers random(equal_layers ? seed + 1 : seed + 1001 + layer);
    for (const auto& [a, b] : kEdges) {
      const VariableId from(layer * kNext + a), to(layer * kNext + b);
      network.add_pairwise(from, to,
                           costs(random, network.domain_size(from) * network.domain_size(to), 80));
    }
  }
  return network;
}

struct BruteForce {
  bool feasible = false;
  double value = kForbidden;
  double least_bytes = kForbidden;  // of the assignments that are not forbidden
};

inline BruteForce brute_force(const CostNetwork& network,
                              std::optional<double> bytes_limit = std::nullopt) {
  BruteForce best;
  std::vector<uint32_t> values(network.size(), 0);
  for (size_t i = 0; i < network.size(); ++i) {
    if (network.domain_size(VariableId(i)) == 0) return best;
  }
  while (true) {
    const double cost = network.cost(values);
    if (std::isfinite(cost)) {
      const double bytes = network.bytes(values);
      best.least_bytes = std::min(best.least_bytes, bytes);
      if (!bytes_limit || bytes <= *bytes_limit) {
        best.feasible = true;
        best.value = std::min(best.value, cost);
      }
    }
    size_t i = 0;
    while (i < values.size() && ++values[i] == network.domain_size(VariableId(i))) values[i++] = 0;
    if (i == values.size()) return best;
  }
}

}  // namespace cleave::solver
