#include "reference_tensors.h"

#include <algorithm>
#include <utility>

namespace cleave::cli {

ReferenceTensors::ReferenceTensors(std::map<std::string, size_t, std::less<>> uses,
                                   size_t bound_bytes)
    : bound_(bound_bytes) {
  for (const auto& [name, count] : uses) entries_[name].uses = count;
}

void ReferenceTensors::give(const std::string& name, const Tensor& tensor) {
  std::unique_lock lock(mutex_);
  if (abandoned_) throw Abandoned();
  const auto found = entries_.find(name);
  if (found == entries_.end() || found->second.given) return;
  // What is larger than the bound by itself is kept alone.
  changed_.wait(lock, [&] {
    return abandoned_ || wanted_ != nullptr || bytes_ == 0 || bytes_ + tensor.bytes() <= bound_;
  });
  if (abandoned_) throw Abandoned();
  found->second.given = true;
  found->second.tensor = tensor;
  bytes_ += tensor.bytes();
  peak_ = std::max(peak_, bytes_);
  if (wanted_ == &found->second) wanted_ = nullptr;
  changed_.notify_all();
}

void ReferenceTensors::give_no_more() {
  const std::lock_guard lock(mutex_);
  given_all_ = true;
  changed_.notify_all();
}

std::optional<Tensor> ReferenceTensors::take(const std::string& name) {
  std::unique_lock lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = found->second;
  if (!entry.given) {
    wanted_ = &entry;
    changed_.notify_all();
    changed_.wait(lock, [&] { return entry.given || given_all_; });
    wanted_ = nullptr;
  }
  if (!entry.tensor) return std::nullopt;
  Tensor tensor = *entry.tensor;
  if (--entry.uses == 0) {
    bytes_ -= tensor.bytes();
    entry.tensor.reset();
    changed_.notify_all();
  }
  return tensor;
}

void ReferenceTensors::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  changed_.notify_all();
}

size_t ReferenceTensors::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

}  // namespace cleave::cli
