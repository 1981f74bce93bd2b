// TimingTable: which kernel, and which of its algorithms, was fastest for which problem on which
// kind of device, as tuning found it; the timing cache's content and its JSON.
#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// The devices that share timings: equal machines, as many threads.
struct DeviceKind {
  explicit DeviceKind(const Device& device);

  std::string backend;  // "cpu"
  std::string name;     // Device::kind
  int threads = 1;
};

// All that decides how fast kernels are, as text that people can read.
struct TimingKey {
  TimingKey() = default;
  TimingKey(const DeviceKind& kind, const KernelProblem& problem);

  std::string backend;
  std::string device;
  int threads = 1;
  std::string op;
  std::string attributes;
  std::vector<std::string> inputs;  // "f32[384, 1536] constant"
  std::vector<std::string> outputs;
  auto operator<=>(const TimingKey&) const = default;
};

class TimingTable {
 public:
  // Error(kInvalid) naming `name` and the key for anything that is not a timing cache.
  static TimingTable parse(std::string_view json, const std::string& name);
  // Sorted: equal tables are equal text.
  std::string to_json() const;

  // Null where the problem was not timed.
  const KernelTimes* find(const TimingKey& key) const;
  // `times` of at least one kernel; equally fast ones keep their order.
  void set(const TimingKey& key, KernelTimes times);
  size_t size() const { return entries_.size(); }

 private:
  std::map<TimingKey, KernelTimes> entries_;
};

}  // namespace cleave::backend
