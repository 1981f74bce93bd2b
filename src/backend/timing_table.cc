#include "backend/timing_table.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/json_reader.h"

namespace cleave::backend {
namespace {

using nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr int kMostThreads = 1 << 20;

std::string text_of(const KernelProblem& problem, size_t input) {
  const std::string text = problem.inputs[input].text();
  return problem.is_constant(input) ? text + " constant" : text;
}

// What is kept of a time: hundredths of a microsecond, so that files stay readable.
double rounded(double us) { return std::max(1.0, std::round(us * 100)) / 100; }

ordered_json to_object(const KernelTime& time) {
  ordered_json out = {{"kernel", time.kernel}, {"us", time.us}};
  if (!time.algorithm.empty()) out["algorithm"] = time.algorithm;
  return out;
}

class Reader : public JsonReader {
 public:
  explicit Reader(const std::string& name)
      : JsonReader(name + " is not a timing cache",
                   "remove the file; --tune with --timingCacheFile makes a new one") {}

  TimingKey key(const Json& in) const {
    TimingKey key;
    key.backend = text(in, "backend");
    key.device = text(in, "device");
    const int64_t threads = count(in, "threads");
    if (threads > kMostThreads) fail("'threads' is out of range");
    key.threads = static_cast<int>(threads);
    key.op = text(in, "op");
    key.attributes = text(in, "attributes");
    key.inputs = texts(in, "inputs");
    key.outputs = texts(in, "outputs");
    return key;
  }
  KernelTime time(const Json& in) const {
    KernelTime time{text(in, "kernel"), number(in, "us", 0)};
    if (in.contains("algorithm")) time.algorithm = text(in, "algorithm");
    return time;
  }
};

}  // namespace

DeviceKind::DeviceKind(const Device& device)
    : backend(device.backend()), name(device.kind()), threads(device.threads()) {}

TimingKey::TimingKey(const DeviceKind& kind, const KernelProblem& problem)
    : backend(kind.backend), device(kind.name), threads(kind.threads), op(problem.op) {
  // Whose turn it is does not change how long it takes: ranks of equal sizes share timings.
  Attributes shared = problem.attributes;
  shared.erase("rank");
  attributes = shared.text();
  for (size_t i = 0; i < problem.inputs.size(); ++i) inputs.push_back(text_of(problem, i));
  for (const TensorView& view : problem.outputs) outputs.push_back(view.text());
}

const KernelTimes* TimingTable::find(const TimingKey& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

void TimingTable::set(const TimingKey& key, KernelTimes times) {
  CLEAVE_CHECK(!times.empty(), "no kernel was timed");
  for (KernelTime& time : times) time.us = rounded(time.us);
  std::stable_sort(times.begin(), times.end(),
                   [](const KernelTime& a, const KernelTime& b) { return a.us < b.us; });
  entries_[key] = std::move(times);
}

std::string TimingTable::to_json() const {
  ordered_json out;
  out["cleave_timing_cache"] = kVersion;
  out["entries"] = ordered_json::array();
  for (const auto& [key, times] : entries_) {
    ordered_json entry = {{"backend", key.backend},       {"device", key.device},
                          {"threads", key.threads},       {"op", key.op},
                          {"attributes", key.attributes}, {"inputs", key.inputs},
                          {"outputs", key.outputs}};
    entry.update(to_object(times.front()));
    entry["slower"] = ordered_json::array();
    for (size_t i = 1; i < times.size(); ++i) entry["slower"].push_back(to_object(times[i]));
    out["entries"].push_back(std::move(entry));
  }
  // Texts may come from models, which may hold any bytes.
  return out.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

TimingTable TimingTable::parse(std::string_view text, const std::string& name) {
  const Reader reader(name);
  const JsonReader::Json in = reader.parse(text);
  if (reader.count(in, "cleave_timing_cache") != kVersion) reader.fail("it is of another version");
  TimingTable table;
  for (const JsonReader::Json& entry : reader.list(in, "entries")) {
    KernelTimes times = {reader.time(entry)};
    for (const JsonReader::Json& slower : reader.list(entry, "slower")) {
      times.push_back(reader.time(slower));
    }
    table.entries_.emplace(reader.key(entry), std::move(times));
  }
  return table;
}

}  // namespace cleave::backend
