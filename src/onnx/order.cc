#include <algorithm>
#include <functional>
#include <queue>
#include <string_view>
#include <unordered_map>

#include "cleave/error.h"
#include "onnx/quote.h"
#include "onnx/source_node.h"

namespace cleave::onnx {
namespace {

constexpr size_t kGiven = ~size_t{0};
constexpr size_t kShownNodes = 6;

using Makers = std::unordered_map<std::string_view, size_t>;

[[noreturn]] void fail_made_twice(const std::string& tensor, const SourceGraph& graph, size_t first,
                                  const SourceNode& second) {
  const std::string by = first == kGiven ? "an input or initializer" : graph.nodes[first].text();
  throw Error(
      ErrorCode::kInvalid,
      "the tensor " + quote(tensor) + " is made twice: by " + by + " and by " + second.text(),
      "every tensor of an ONNX model has one maker; export the model again");
}

// Which node makes each tensor.
Makers makers_of(const SourceGraph& graph, const TensorNames& given) {
  Makers makers;
  for (const std::string& name : given) makers.emplace(name, kGiven);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& output : graph.nodes[i].outputs) {
      if (output.empty()) continue;
      const auto [it, is_new] = makers.emplace(output, i);
      if (!is_new) fail_made_twice(output, graph, it->second, graph.nodes[i]);
    }
  }
  return makers;
}

[[noreturn]] void fail_missing(const std::string& tensor, const std::string& reader) {
  throw Error(ErrorCode::kInvalid,
              "the tensor " + quote(tensor) + " is read by " + reader + " but nothing makes it",
              "check the model with onnx.checker, or export it again");
}

// The nodes that cannot be ordered hold a cycle: follow producers until one comes again.
[[noreturn]] void fail_cycle(const SourceGraph& graph, const Makers& makers,
                             const std::vector<size_t>& waiting) {
  size_t node = 0;
  while (waiting[node] == 0) ++node;
  std::vector<size_t> path;
  while (std::find(path.begin(), path.end(), node) == path.end()) {
    path.push_back(node);
    for (const std::string& input : graph.nodes[node].inputs) {
      const auto it = makers.find(input);
      if (it != makers.end() && it->second != kGiven && waiting[it->second] > 0) {
        node = it->second;
        break;
      }
    }
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), node));
  std::reverse(path.begin(), path.end());
  std::string names;
  for (size_t i = 0; i < path.size() && i < kShownNodes; ++i) {
    names += (i > 0 ? ", " : "") + graph.nodes[path[i]].text();
  }
  if (path.size() > kShownNodes) names += ", ...";
  throw Error(ErrorCode::kInvalid,
              "the model has a cycle of " + std::to_string(path.size()) + " nodes: " + names,
              "a node may not read what depends on its own result");
}

// Kahn's algorithm; of the nodes that are ready, the first of the model goes first.
std::vector<size_t> sorted(const SourceGraph& graph, const Makers& makers) {
  std::vector<size_t> waiting(graph.nodes.size(), 0);
  std::vector<std::vector<size_t>> readers(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& input : graph.nodes[i].inputs) {
      if (input.empty()) continue;
      const auto it = makers.find(input);
      if (it == makers.end()) fail_missing(input, graph.nodes[i].text());
      if (it->second == kGiven) continue;
      readers[it->second].push_back(i);
      ++waiting[i];
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t node = ready.top();
    ready.pop();
    order.push_back(node);
    for (const size_t reader : readers[node]) {
      if (--waiting[reader] == 0) ready.push(reader);
    }
  }
  if (order.size() != graph.nodes.size()) fail_cycle(graph, makers, waiting);
  return order;
}

// Nodes that the outputs depend on.
std::vector<bool> needed_by(const TensorNames& outputs, const SourceGraph& graph,
                            const Makers& makers) {
  std::vector<bool> needed(graph.nodes.size(), false);
  std::vector<size_t> open;
  const auto need = [&](const std::string& tensor) {
    const auto it = makers.find(tensor);
    if (it == makers.end() || it->second == kGiven || needed[it->second]) return;
    needed[it->second] = true;
    open.push_back(it->second);
  };
  for (const std::string& output : outputs) {
    if (!makers.contains(output)) fail_missing(output, "the graph's outputs");
    need(output);
  }
  while (!open.empty()) {
    const size_t node = open.back();
    open.pop_back();
    for (const std::string& input : graph.nodes[node].inputs) need(input);
  }
  return needed;
}

}  // namespace

void order(SourceGraph& graph, const TensorNames& given, const TensorNames& outputs) {
  const Makers makers = makers_of(graph, given);
  const std::vector<size_t> positions = sorted(graph, makers);
  const std::vector<bool> needed = needed_by(outputs, graph, makers);
  std::vector<SourceNode> nodes;
  for (const size_t position : positions) {
    if (needed[position]) nodes.push_back(std::move(graph.nodes[position]));
  }
  graph.nodes = std::move(nodes);
}

}  // namespace cleave::onnx
