#include "planner/solver/derived_networks.h"

namespace cleave::solver {

namespace {

// `bytes` (0 where there are none) on what `cost` allows.
std::vector<double> where_allowed(std::span<const double> cost, std::span<const double> bytes) {
  std::vector<double> result(cost.size(), 0.0);
  for (size_t i = 0; i < cost.size(); ++i) {
    if (cost[i] == kForbidden) {
      result[i] = kForbidden;
    } else if (!bytes.empty()) {
      result[i] = bytes[i];
    }
  }
  return result;
}

CostNetwork derived(const CostNetwork& network, size_t count, bool with_bytes) {
  CostNetwork result;
  const auto table = [&](TableId cost, TableId bytes) {
    const TableStore& tables = network.tables();
    return where_allowed(tables.entries(cost), with_bytes && bytes.valid()
                                                   ? tables.entries(bytes)
                                                   : std::span<const double>());
  };
  for (size_t i = 0; i < count; ++i) {
    const CostNetwork::Variable& variable = network.variables()[i];
    result.add_variable(table(variable.cost, variable.bytes));
  }
  for (const CostNetwork::Pairwise& edge : network.pairwise()) {
    if (edge.a.index() >= count || edge.b.index() >= count) continue;
    result.add_pairwise(edge.a, edge.b, table(edge.cost, edge.bytes));
  }
  return result;
}

}  // namespace

CostNetwork feasibility_network(const CostNetwork& network, size_t count) {
  return derived(network, count, false);
}

CostNetwork bytes_network(const CostNetwork& network) {
  return derived(network, network.size(), true);
}

}  // namespace cleave::solver
