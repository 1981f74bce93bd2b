#include "planner/solver/local_moves.h"

#include <algorithm>

namespace cleave::solver {

LocalMoves::LocalMoves(const CostNetwork& network) : network_(network), edges_(network.size()) {
  for (const CostNetwork::Pairwise& edge : network.pairwise()) {
    const uint32_t a = static_cast<uint32_t>(edge.a.index());
    const uint32_t b = static_cast<uint32_t>(edge.b.index());
    const size_t columns = network.domain_size(edge.b);
    const std::span<const double> cost = network.tables().entries(edge.cost);
    const std::span<const double> bytes =
        edge.bytes.valid() ? network.tables().entries(edge.bytes) : std::span<const double>();
    edges_[a].push_back({b, cost, bytes, columns, 1});
    edges_[b].push_back({a, cost, bytes, 1, columns});
  }
}

void LocalMoves::look(size_t variable, const std::vector<uint32_t>& values, Local& local) const {
  const CostNetwork::Variable& info = network_.variables()[variable];
  const std::span<const double> unary = network_.tables().entries(info.cost);
  local.cost.assign(unary.begin(), unary.end());
  local.bytes.assign(unary.size(), 0.0);
  if (info.bytes.valid()) {
    const std::span<const double> bytes = network_.tables().entries(info.bytes);
    local.bytes.assign(bytes.begin(), bytes.end());
  }
  for (const Edge& edge : edges_[variable]) {
    const size_t offset = values[edge.other] * edge.other_stride;
    for (size_t v = 0; v < unary.size(); ++v) {
      local.cost[v] += edge.cost[offset + v * edge.own_stride];
      if (!edge.bytes.empty()) local.bytes[v] += edge.bytes[offset + v * edge.own_stride];
    }
  }
}

void LocalMoves::lower(std::vector<uint32_t>& values, double bytes_limit) const {
  Local local;
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t i = 0; i < values.size(); ++i) {
      look(i, values, local);
      for (uint32_t v = 0; v < values[i]; ++v) {
        if (local.cost[v] > local.cost[values[i]]) continue;
        std::vector<uint32_t> changed = values;
        changed[i] = v;
        if (local.bytes[v] > local.bytes[values[i]] && network_.bytes(changed) > bytes_limit) {
          continue;
        }
        values = std::move(changed);
        moved = true;
        break;
      }
    }
  }
}

void LocalMoves::descend(std::vector<uint32_t>& values, double bytes_limit) const {
  Local local;
  double bytes = network_.bytes(values);
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t i = 0; i < values.size(); ++i) {
      look(i, values, local);
      uint32_t best = values[i];
      for (uint32_t v = 0; v < local.cost.size(); ++v) {
        const double bytes_after = bytes - local.bytes[values[i]] + local.bytes[v];
        // A clear gain only, so that rounding cannot make it go in circles.
        if (bytes_after <= bytes_limit && local.cost[v] < local.cost[best] * (1 - 1e-12)) best = v;
      }
      if (best == values[i]) continue;
      std::vector<uint32_t> changed = values;
      changed[i] = best;
      const double bytes_after = network_.bytes(changed);
      if (bytes_after > bytes_limit) continue;  // by rounding
      bytes = bytes_after;
      values = std::move(changed);
      moved = true;
    }
  }
}

std::vector<uint32_t> LocalMoves::best_run(const std::vector<uint32_t>& inside,
                                           const std::vector<uint32_t>& outside,
                                           double bytes_limit) const {
  std::vector<size_t> differing;
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != outside[i]) differing.push_back(i);
  }
  // Cost and bytes relative to `outside`; forbidden pairs are counted apart, to be taken away
  // again.
  struct Run {
    double cost = 0;
    double bytes = 0;
    int forbidden = 0;
    void add(double cost_of, double bytes_of, int sign) {
      if (cost_of == kForbidden) {
        forbidden += sign;
      } else {
        cost += sign * cost_of;
      }
      bytes += sign * bytes_of;
    }
  };
  std::vector<uint32_t> best = outside;
  double best_cost = kForbidden;
  size_t best_first = 0, best_last = 0;
  const double bytes_outside = network_.bytes(outside);
  if (bytes_outside <= bytes_limit) best_cost = 0;
  Local local;
  std::vector<uint32_t> values = outside;
  for (size_t first = 0; first < differing.size(); ++first) {
    Run run;
    for (size_t last = first; last < differing.size(); ++last) {
      const size_t i = differing[last];
      const auto count = [&](uint32_t value, int sign) {
        const CostNetwork::Variable& info = network_.variables()[i];
        const TableStore& tables = network_.tables();
        run.add(tables.entries(info.cost)[value],
                info.bytes.valid() ? tables.entries(info.bytes)[value] : 0, sign);
        for (const Edge& edge : edges_[i]) {
          const size_t at = values[edge.other] * edge.other_stride + value * edge.own_stride;
          run.add(edge.cost[at], edge.bytes.empty() ? 0 : edge.bytes[at], sign);
        }
      };
      count(outside[i], -1);
      count(inside[i], 1);
      values[i] = inside[i];
      if (run.forbidden <= 0 && run.cost < best_cost && bytes_outside + run.bytes <= bytes_limit) {
        best_cost = run.cost;
        best_first = first;
        best_last = last + 1;
      }
    }
    for (size_t last = first; last < differing.size(); ++last) {
      values[differing[last]] = outside[differing[last]];
    }
  }
  for (size_t k = best_first; k < best_last; ++k) best[differing[k]] = inside[differing[k]];
  return best;
}

}  // namespace cleave::solver
