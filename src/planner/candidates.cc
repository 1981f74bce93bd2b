#include "planner/candidates.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace cleave::planner {

using capabilities::FusionGroup;
using layout::Factor;
using layout::Placement;
using layout::ShardingRule;
using layout::Strategy;

// An assignment of strategies to the members of a group, in the making.
struct CandidateBuilder::Draft {
  std::vector<std::optional<NodePlan>> members;
  Strategy anchor_strategy;
  std::vector<std::pair<ir::ValueId, Copy>> inner;
};

CandidateBuilder::CandidateBuilder(const ir::Graph& graph, const cost::MachineModel& machine,
                                   const Sizes& sizes, const ReshardCosts& reshards,
                                   const std::vector<ShardingRule>& rules,
                                   const CutCandidates& cuts, GroupCosts& costs)
    : graph_(graph),
      machine_(machine),
      sizes_(sizes),
      reshards_(reshards),
      rules_(rules),
      cuts_(cuts),
      costs_(costs) {}

std::optional<layout::OperandPlacements> CandidateBuilder::place(ir::NodeId node,
                                                                 const Strategy& strategy) const {
  return layout::placements(rules_[node.index()], strategy, sizes_.ranks());
}

std::vector<Strategy> CandidateBuilder::strategies(ir::NodeId node) const {
  std::vector<Strategy> result = {Strategy::whole()};
  if (sizes_.ranks() == 1) return result;
  const ShardingRule& rule = rules_[node.index()];
  for (uint32_t f = 0; f < rule.factors.size(); ++f) {
    for (layout::Cut& cut : cuts_.of_factor(node, f)) {
      Strategy strategy{Strategy::Kind::kFactor, f, std::move(cut), 0};
      const auto placed = place(node, strategy);
      if (placed && !layout::replicates_all(*placed)) result.push_back(std::move(strategy));
    }
  }
  for (uint32_t l = 0; l < rule.linear.size(); ++l) {
    if (rule.linear[l].reduce != ReduceOp::kSum) continue;
    result.push_back({Strategy::Kind::kLinear, 0, {}, l});
  }
  return result;
}

size_t CandidateBuilder::member_index(const FusionGroup& group, ir::NodeId node) const {
  for (size_t i = 0; i < group.nodes.size(); ++i) {
    if (group.nodes[i] == node) return i;
  }
  internal_error("not a member of the group", __FILE__, __LINE__);
}

std::vector<Candidate> CandidateBuilder::build_single(ir::NodeId node) {
  std::vector<Candidate> result;
  for (const Strategy& strategy : strategies(node)) {
    const auto placed = place(node, strategy);
    if (!placed) continue;
    Candidate candidate;
    candidate.name = layout::text_of(strategy, rules_[node.index()]);
    candidate.members.push_back({strategy, *placed});
    result.push_back(std::move(candidate));
  }
  return result;
}

// Gives `node` and the members that feed it strategies by which its result is placed as `required`.
bool CandidateBuilder::assign(const FusionGroup& group, Draft& draft, ir::NodeId id,
                              const Placement& required) {
  const size_t index = member_index(group, id);
  const ir::Node& node = graph_.node(id);
  if (draft.members[index]) {
    // Read twice: both readers must agree.
    const Placement& there = draft.inner.empty() || id != group.anchor
                                 ? draft.members[index]->placements.outputs[0]
                                 : draft.inner.front().second.to;
    return there == required;
  }
  if (id == group.anchor) {
    const auto placed = place(id, draft.anchor_strategy);
    if (!placed) return false;
    const Placement& given = placed->outputs[0];
    draft.members[index] = NodePlan{draft.anchor_strategy, *placed};
    if (given == required) return true;
    // A partial product is resolved inside the group, before an op that is not linear.
    if (!given.is_partial() || required.is_partial()) return false;
    draft.inner.push_back({node.outputs[0], {given, required}});
    return true;
  }
  std::vector<Strategy> fitting;
  for (const Strategy& strategy : strategies(id)) {
    const auto placed = place(id, strategy);
    if (placed && placed->outputs[0] == required) fitting.push_back(strategy);
  }
  // A Shard that no candidate cut of this member names is tried along the same dimension.
  for (const Strategy& strategy : fitting) {
    Draft attempt = draft;
    const auto placed = place(id, strategy);
    attempt.members[index] = NodePlan{strategy, *placed};
    bool good = true;
    for (size_t i = 0; i < node.inputs.size() && good; ++i) {
      if (!node.inputs[i].valid()) continue;
      const ir::NodeId producer = graph_.value(node.inputs[i]).producer;
      const bool inside = producer.valid() && std::find(group.nodes.begin(), group.nodes.end(),
                                                        producer) != group.nodes.end();
      if (inside) good = assign(group, attempt, producer, placed->inputs[i]);
    }
    if (good) {
      draft = std::move(attempt);
      return true;
    }
  }
  return false;
}

std::vector<Candidate> CandidateBuilder::build_tree(const FusionGroup& group) {
  const ir::NodeId root = group.root();
  // How the result may lie.
  std::vector<Placement> targets;
  const auto add_target = [&](const Placement& placement) {
    if (std::find(targets.begin(), targets.end(), placement) == targets.end()) {
      targets.push_back(placement);
    }
  };
  for (const Strategy& strategy : strategies(root)) {
    if (const auto placed = place(root, strategy)) {
      add_target(placed->outputs[0]);
    }
  }
  std::vector<Strategy> anchors = {Strategy::whole()};
  if (group.anchor.valid()) {
    anchors = strategies(group.anchor);
    for (const Strategy& strategy : anchors) {
      const auto placed = place(group.anchor, strategy);
      if (placed) add_target(placed->outputs[0]);
    }
  }
  std::vector<Candidate> result;
  for (const Strategy& anchor : anchors) {
    for (const Placement& target : targets) {
      Draft draft;
      draft.members.resize(group.nodes.size());
      draft.anchor_strategy = anchor;
      if (!assign(group, draft, root, target)) continue;
      Candidate candidate;
      const ir::NodeId named = group.anchor.valid() ? group.anchor : root;
      for (auto& member : draft.members) {
        CLEAVE_CHECK(member.has_value(), "a member of a group was not reached");
        candidate.members.push_back(std::move(*member));
      }
      candidate.name = layout::text_of(candidate.members[member_index(group, named)].strategy,
                                       rules_[named.index()]);
      for (const auto& [value, copy] : draft.inner) {
        candidate.name += copy.to.is_shard() ? " + reduce_scatter " + std::to_string(copy.to.dim)
                                             : " + all_reduce";
      }
      candidate.inner = std::move(draft.inner);
      result.push_back(std::move(candidate));
    }
  }
  return result;
}

void CandidateBuilder::finish(const FusionGroup& group, Candidate& candidate) {
  candidate.outputs = candidate.members.back().placements.outputs;
  for (size_t m = 0; m < group.nodes.size(); ++m) {
    const ir::Node& node = graph_.node(group.nodes[m]);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ir::ValueId value = node.inputs[i];
      if (!value.valid()) continue;
      const ir::NodeId producer = graph_.value(value).producer;
      if (producer.valid() &&
          std::find(group.nodes.begin(), group.nodes.end(), producer) != group.nodes.end()) {
        continue;
      }
      const Placement& placement = candidate.members[m].placements.inputs[i];
      const bool known = std::any_of(
          candidate.needs.begin(), candidate.needs.end(),
          [&](const Need& need) { return need.value == value && need.placement == placement; });
      if (!known) candidate.needs.push_back({value, placement});
    }
  }
  for (const auto& [value, copy] : candidate.inner) {
    candidate.communication_us += reshards_.us(value, copy.from, copy.to);
  }
  // A split of a dynamic dimension must pay at every point of the profile: it is charged the
  // largest of its times relative to the whole's, in terms of the opt point.
  candidate.time_us = time_us(group, &candidate, sizes_.opt());
  const bool dynamic =
      std::any_of(candidate.members.begin(), candidate.members.end(), [](const NodePlan& member) {
        return member.strategy.kind == Strategy::Kind::kFactor &&
               Sizes::dynamic(member.strategy.cut);
      });
  if (!dynamic || sizes_.points() == 1) return;
  const double whole_opt = costs_.us(group, nullptr, sizes_.opt(), 0);
  for (size_t p = 0; p < sizes_.points(); ++p) {
    const double whole = costs_.us(group, nullptr, p, 0);
    if (whole <= 0) continue;
    candidate.time_us =
        std::max(candidate.time_us, time_us(group, &candidate, p) * whole_opt / whole);
  }
}

double CandidateBuilder::time_us(const FusionGroup& group, const Candidate* candidate,
                                 size_t point) {
  std::vector<double> by_rank;
  for (int64_t r = 0; r < sizes_.ranks(); ++r) {
    by_rank.push_back(costs_.us(group, candidate, point, r));
  }
  return cost::ranks_us(machine_, by_rank);
}

std::vector<Candidate> CandidateBuilder::build(const FusionGroup& group) {
  const bool single = group.nodes.size() == 1;
  std::vector<Candidate> result = single ? build_single(group.root()) : build_tree(group);
  for (Candidate& candidate : result) finish(group, candidate);
  return result;
}

double CandidateBuilder::unsplit_us(const FusionGroup& group) {
  return costs_.us(group, nullptr, sizes_.opt(), 0);
}

}  // namespace cleave::planner
