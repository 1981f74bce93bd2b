#include "compiler/plan_json.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "base/file.h"
#include "base/hash.h"
#include "base/json_reader.h"

namespace cleave::compiler {
namespace {

using nlohmann::ordered_json;

// What a plan belongs to: the graph's nodes, in order, and their types.
std::string fingerprint(const ir::Graph& graph) {
  uint64_t hash = 0;
  for (ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    hash = hash_combine(hash, hash_bytes(node.name));
    hash = hash_combine(hash, hash_bytes(node.op));
    for (ir::ValueId output : node.outputs) {
      hash = hash_combine(hash, hash_bytes(graph.type(output).text()));
    }
  }
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string count(double value) {
  char buffer[32];
  if (value >= 1e9) {
    std::snprintf(buffer, sizeof buffer, "%.2fG", value / 1e9);
  } else if (value >= 1e6) {
    std::snprintf(buffer, sizeof buffer, "%.1fM", value / 1e6);
  } else if (value >= 1e3) {
    std::snprintf(buffer, sizeof buffer, "%.1fk", value / 1e3);
  } else {
    std::snprintf(buffer, sizeof buffer, "%.0f", value);
  }
  return buffer;
}

std::string cell(std::string text, size_t width) {
  if (text.size() > width) text = ".." + text.substr(text.size() - (width - 2));
  text.resize(width, ' ');
  return text;
}

// In which the group leaves its result.
Format format_of(const ir::Graph& graph, const planner::GroupPlan& group) {
  const ir::Node& root = graph.node(group.nodes.back());
  return root.outputs.empty() ? Format::kRowMajor : graph.value(root.outputs[0]).format;
}

}  // namespace

std::string plan_json(const Compilation& c, PlanningTime time) {
  const planner::Plan& plan = c.plan;
  ordered_json json;
  json["devices"] = plan.ranks;
  json["mesh"] = ordered_json::array({plan.ranks});
  json["cost_us"] = plan.cost_us;
  json["bound_us"] = plan.bound_us;
  json["optimal"] = plan.optimal;
  json["gap"] = plan.gap;
  json["price_per_byte"] = plan.price_per_byte;
  json["unsplit_us"] = plan.unsplit_us;
  if (time == PlanningTime::kShown) json["planning_seconds"] = plan.planning_seconds;
  json["memory_bytes"] = c.data.memory_bytes;
  json["model"] = fingerprint(c.graph);
  json["nodes"] = ordered_json::array();
  for (const planner::GroupPlan& group : plan.groups) {
    ordered_json node;
    node["name"] = group.name;
    node["op"] = group.op;
    node["strategy"] = group.strategy;
    node["time_us"] = group.time_us;
    node["unsplit_us"] = group.unsplit_us;
    node["communication_us"] = group.communication_us;
    node["bytes"] = group.bytes;
    node["format"] = name_of(format_of(c.graph, group));
    node["reason"] = group.reason;
    for (ir::NodeId id : group.nodes) node["fused"].push_back(c.graph.node(id).name);
    json["nodes"].push_back(std::move(node));
  }
  json["warnings"] = plan.warnings;
  return json.dump(1);
}

std::string plan_table(const Compilation& c) {
  const planner::Plan& plan = c.plan;
  std::string out;
  char line[256];
  std::snprintf(line, sizeof line, "%s %s %s %8s %8s %8s %8s\n", cell("op", 10).c_str(),
                cell("node", 20).c_str(), cell("split", 12).c_str(), "bytes", "alone us",
                "split us", "comm us");
  out += line;
  size_t shown = 0;
  std::map<Format, size_t> formats;
  for (const planner::GroupPlan& group : plan.groups) {
    // Views and the like cost nothing and are not split: nothing to see.
    if (group.unsplit_us == 0 && group.communication_us == 0) continue;
    ++shown;
    ++formats[format_of(c.graph, group)];
    std::snprintf(line, sizeof line, "%s %s %s %8s %8.1f %8.1f %8.1f\n", cell(group.op, 10).c_str(),
                  cell(group.name, 20).c_str(), cell(group.strategy, 12).c_str(),
                  count(group.bytes).c_str(), group.unsplit_us, group.time_us,
                  group.communication_us);
    out += line;
    std::snprintf(line, sizeof line, "  why: %.72s\n", group.reason.c_str());
    out += line;
  }
  double communication = 0;
  for (const planner::GroupPlan& group : plan.groups) communication += group.communication_us;
  std::snprintf(line, sizeof line,
                "\npredicted: %.1f us on %lld device(s), %.1f us unsplit: %.2f times as fast\n",
                plan.cost_us, static_cast<long long>(plan.ranks), plan.unsplit_us,
                plan.cost_us > 0 ? plan.unsplit_us / plan.cost_us : 1.0);
  out += line;
  for (const auto& [format, results] : formats) {
    if (format == Format::kRowMajor) continue;
    std::snprintf(line, sizeof line, "formats: %zu of %zu results %s in memory\n", results, shown,
                  std::string(name_of(format)).c_str());
    out += line;
  }
  std::snprintf(line, sizeof line, "communication: %.1f us\n", communication);
  out += line;
  out += "memory a device:";
  for (int64_t bytes : c.data.memory_bytes) out += " " + count(static_cast<double>(bytes)) + "B";
  std::snprintf(line, sizeof line, "\nvalue %.3f us, lower bound %.3f us: %s (%.3f s)\n",
                plan.cost_us, plan.bound_us, plan.optimal ? "optimal" : "not proven optimal",
                plan.planning_seconds);
  out += line;
  if (!plan.optimal) {
    std::snprintf(line, sizeof line, "gap %.2f%%\n", 100 * plan.gap);
    out += line;
  }
  for (const std::string& warning : plan.warnings) out += "warning: " + warning + "\n";
  return out;
}

void add_pins(const std::filesystem::path& path, const ir::Graph& graph,
              planner::Options& options) {
  const char* hint = "make one with `cleave plan MODEL.onnx --json FILE`";
  const auto other = [&](const char* what) {
    return Error(ErrorCode::kInvalid, path.string() + " is a plan for another " + what, hint);
  };
  const JsonReader reader(path.string() + " is not a plan", hint);
  const JsonReader::Json json = reader.parse(read_file(path, 256 << 20));
  if (reader.count(json, "devices") != options.ranks) throw other("number of devices");
  if (reader.text(json, "model") != fingerprint(graph)) throw other("model");
  for (const JsonReader::Json& node : reader.list(json, "nodes")) {
    options.pins.push_back({reader.text(node, "name"), reader.text(node, "strategy")});
  }
}

}  // namespace cleave::compiler
