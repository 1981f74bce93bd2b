#include "planner/network.h"

#include <algorithm>
#include <limits>

namespace cleave::planner {

using layout::Placement;

namespace {

constexpr double kForbidden = std::numeric_limits<double>::infinity();
// More copies of one tensor than these beside its own layout are not kept.
constexpr size_t kMaxCopies = 2;

void add_unique(std::vector<Placement>& list, const Placement& placement) {
  if (std::find(list.begin(), list.end(), placement) == list.end()) list.push_back(placement);
}

}  // namespace

bool CopySet::holds(const Placement& placement) const {
  return own == placement || std::any_of(copies.begin(), copies.end(),
                                         [&](const Copy& copy) { return copy.to == placement; });
}

Network::Network(const ir::Graph& graph, const capabilities::Fusion& fusion,
                 const std::vector<std::vector<Candidate>>& candidates, const Sizes& sizes,
                 const ReshardCosts& reshards)
    : graph_(graph),
      fusion_(fusion),
      candidates_(candidates),
      sizes_(sizes),
      reshards_(reshards),
      uses_(graph.uses()) {
  add_groups();
  for (size_t v = 0; v < graph.value_count(); ++v) add_value(ir::ValueId(v));
}

void Network::add_groups() {
  for (const std::vector<Candidate>& group : candidates_) {
    std::vector<double> costs;
    std::vector<double> bytes;
    for (const Candidate& candidate : group) {
      costs.push_back(candidate.time_us + candidate.communication_us);
      double held = 0;
      for (const Need& need : candidate.needs) {
        const ir::Value& value = graph_.value(need.value);
        // Constants with several readers have a variable of their own.
        if (!value.is_constant() || consumers_of(need.value).size() != 1) continue;
        held += sizes_.largest_bytes(need.value, need.placement);
      }
      bytes.push_back(held);
    }
    group_variables_.push_back(costs_.add_variable(costs, bytes));
  }
}

std::vector<Network::Consumer> Network::consumers_of(ir::ValueId value) const {
  std::vector<Consumer> consumers;
  const ir::NodeId producer = graph_.value(value).producer;
  for (const ir::Graph::Use& use : uses_[value.index()]) {
    const size_t group = fusion_.group_of_node[use.node.index()];
    if (producer.valid() && fusion_.group_of_node[producer.index()] == group) continue;
    const bool known = std::any_of(consumers.begin(), consumers.end(),
                                   [&](const Consumer& c) { return c.group == group; });
    if (known) continue;
    Consumer consumer{group, {}};
    for (const Candidate& candidate : candidates_[group]) {
      std::vector<Placement> needs;
      for (const Need& need : candidate.needs) {
        if (need.value == value) needs.push_back(need.placement);
      }
      consumer.needs.push_back(std::move(needs));
    }
    consumers.push_back(std::move(consumer));
  }
  if (graph_.is_output(value)) {
    consumers.push_back({std::nullopt, {{Placement::replicate()}}});
  }
  return consumers;
}

std::vector<Placement> Network::given(ir::ValueId value, std::optional<size_t> producer) const {
  if (!producer) return {Placement::replicate()};
  std::vector<Placement> result;
  for (const Candidate& candidate : candidates_[*producer]) {
    result.push_back(candidate.outputs[graph_.value(value).output_index]);
  }
  return result;
}

void Network::add_value(ir::ValueId value) {
  const std::vector<Consumer> consumers = consumers_of(value);
  if (consumers.empty()) return;
  if (graph_.value(value).is_constant()) {
    add_constant(value, consumers);
    return;
  }
  std::optional<size_t> producer;
  if (const ir::NodeId made_by = graph_.value(value).producer; made_by.valid()) {
    producer = fusion_.group_of_node[made_by.index()];
  }
  const bool simple =
      consumers.size() == 1 && std::all_of(consumers[0].needs.begin(), consumers[0].needs.end(),
                                           [](const auto& needs) { return needs.size() <= 1; });
  if (simple) {
    add_direct(value, producer, consumers[0]);
  } else {
    add_copies(value, producer, consumers);
  }
}

void Network::add_direct(ir::ValueId value, std::optional<size_t> producer,
                         const Consumer& consumer) {
  const std::vector<Placement> owns = given(value, producer);
  std::vector<double> table;
  for (const Placement& own : owns) {
    for (const auto& needs : consumer.needs) {
      table.push_back(needs.empty() ? 0 : reshards_.us(value, own, needs[0]));
    }
  }
  direct_edges_.push_back({value, producer, consumer});
  if (producer && consumer.group) {
    costs_.add_pairwise(group_variables_[*producer], group_variables_[*consumer.group], table);
    return;
  }
  if (!producer && !consumer.group) return;  // an input that is an output
  // One side is fixed: the cost is the other variable's own.
  const solver::VariableId fixed = costs_.add_variable({0.0});
  costs_.add_pairwise(producer ? group_variables_[*producer] : group_variables_[*consumer.group],
                      fixed, table);
}

// The cheapest order to make `extras` from `own`, each from what is there already.
std::optional<CopySet> Network::best_order(ir::ValueId value, const Placement& own,
                                           const std::vector<Placement>& extras) const {
  std::vector<size_t> order(extras.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::optional<CopySet> best;
  do {
    CopySet set{own, {}, 0};
    for (size_t i : order) {
      Copy cheapest{own, extras[i]};
      double us = reshards_.us(value, own, extras[i]);
      for (const Copy& there : set.copies) {
        const double from_there = reshards_.us(value, there.to, extras[i]);
        if (from_there < us) {
          us = from_there;
          cheapest.from = there.to;
        }
      }
      set.us += us;
      set.copies.push_back(std::move(cheapest));
    }
    if (set.us < kForbidden && (!best || set.us < best->us)) best = std::move(set);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

std::vector<CopySet> Network::copy_sets(ir::ValueId value, const std::vector<Placement>& owns,
                                        const std::vector<Placement>& wanted) const {
  std::vector<Placement> distinct;
  for (const Placement& own : owns) add_unique(distinct, own);
  std::vector<CopySet> sets;
  for (const Placement& own : distinct) {
    // What every rank can cut from what it holds is no copy.
    std::vector<Placement> extras;
    for (const Placement& placement : wanted) {
      if (placement != own && reshards_.local_us(value, own, placement) == kForbidden) {
        add_unique(extras, placement);
      }
    }
    for (size_t mask = 0; mask < (size_t{1} << std::min<size_t>(extras.size(), 16)); ++mask) {
      if (static_cast<size_t>(__builtin_popcountll(mask)) > kMaxCopies) continue;
      std::vector<Placement> chosen;
      for (size_t i = 0; i < extras.size(); ++i) {
        if ((mask >> i & 1) != 0) chosen.push_back(extras[i]);
      }
      if (auto set = best_order(value, own, chosen)) sets.push_back(std::move(*set));
    }
  }
  return sets;
}

double Network::read_us(ir::ValueId value, const CopySet& set, const Placement& need) const {
  double us = reshards_.local_us(value, set.own, need);
  for (const Copy& copy : set.copies) us = std::min(us, reshards_.local_us(value, copy.to, need));
  return us;
}

void Network::add_copies(ir::ValueId value, std::optional<size_t> producer,
                         const std::vector<Consumer>& consumers) {
  std::vector<Placement> wanted = {Placement::replicate()};
  for (const Consumer& consumer : consumers) {
    for (const auto& needs : consumer.needs) {
      for (const Placement& need : needs) add_unique(wanted, need);
    }
  }
  const std::vector<Placement> owns = given(value, producer);
  std::vector<CopySet> sets = copy_sets(value, owns, wanted);
  std::vector<double> costs;
  for (const CopySet& set : sets) costs.push_back(set.us);
  const solver::VariableId variable = costs_.add_variable(costs);
  if (producer) {
    std::vector<double> table;
    for (const Placement& own : owns) {
      for (const CopySet& set : sets) table.push_back(set.own == own ? 0 : kForbidden);
    }
    costs_.add_pairwise(group_variables_[*producer], variable, table);
  }
  for (const Consumer& consumer : consumers) {
    std::vector<double> table;
    for (const CopySet& set : sets) {
      for (const auto& needs : consumer.needs) {
        double us = 0;
        for (const Placement& need : needs) us += read_us(value, set, need);
        table.push_back(us);
      }
    }
    const solver::VariableId reader =
        consumer.group ? group_variables_[*consumer.group] : costs_.add_variable({0.0});
    costs_.add_pairwise(variable, reader, table);
  }
  copy_variables_.push_back({value, variable, std::move(sets)});
}

// Layouts of a constant cost no time, but each distinct one costs memory.
void Network::add_constant(ir::ValueId value, const std::vector<Consumer>& consumers) {
  if (consumers.size() == 1) return;
  std::vector<Placement> wanted;
  for (const Consumer& consumer : consumers) {
    for (const auto& needs : consumer.needs) {
      for (const Placement& need : needs) add_unique(wanted, need);
    }
  }
  if (sizes_.whole_bytes(value) <= static_cast<double>(ir::kSmallConstantBytes)) return;
  std::vector<std::vector<Placement>> sets;
  for (size_t mask = 1; mask < (size_t{1} << std::min<size_t>(wanted.size(), 10)); ++mask) {
    if (static_cast<size_t>(__builtin_popcountll(mask)) > kMaxCopies + 1) continue;
    std::vector<Placement> set;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if ((mask >> i & 1) != 0) set.push_back(wanted[i]);
    }
    sets.push_back(std::move(set));
  }
  std::vector<double> costs(sets.size(), 0.0);
  std::vector<double> bytes;
  for (const auto& set : sets) {
    double held = 0;
    for (const Placement& placement : set) held += sizes_.largest_bytes(value, placement);
    bytes.push_back(held);
  }
  const solver::VariableId variable = costs_.add_variable(costs, bytes);
  for (const Consumer& consumer : consumers) {
    if (!consumer.group) continue;
    std::vector<double> table;
    for (const auto& set : sets) {
      for (const auto& needs : consumer.needs) {
        const bool held = std::all_of(needs.begin(), needs.end(), [&](const Placement& need) {
          return std::find(set.begin(), set.end(), need) != set.end();
        });
        table.push_back(held ? 0 : kForbidden);
      }
    }
    costs_.add_pairwise(variable, group_variables_[*consumer.group], table);
  }
}

std::vector<CopySet> Network::copies(const std::vector<uint32_t>& values) const {
  std::vector<CopySet> result(graph_.value_count());
  for (const DirectEdge& edge : direct_edges_) {
    const std::vector<Placement> owns = given(edge.value, edge.producer);
    const size_t p = edge.producer ? values[group_variables_[*edge.producer].index()] : size_t{0};
    const size_t c =
        edge.consumer.group ? values[group_variables_[*edge.consumer.group].index()] : size_t{0};
    CopySet& set = result[edge.value.index()];
    set.own = owns[p];
    if (edge.consumer.needs[c].empty()) continue;
    const Placement& need = edge.consumer.needs[c][0];
    // What is local is done by the reader.
    if (reshards_.local_us(edge.value, set.own, need) < kForbidden) continue;
    set.copies.push_back({set.own, need});
    set.us = reshards_.us(edge.value, set.own, need);
  }
  for (const CopyVariable& copy : copy_variables_) {
    result[copy.value.index()] = copy.sets[values[copy.variable.index()]];
  }
  return result;
}

}  // namespace cleave::planner
