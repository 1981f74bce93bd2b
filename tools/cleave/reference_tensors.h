// ReferenceTensors: what a run has made, for another run that goes over the same tensors.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cleave/tensor.h"

namespace cleave::cli {

// One thread gives tensors by name, another takes them. Memory is bounded: the giver waits while
// what has not been taken exceeds a bound, unless the taker waits for something that comes later;
// so neither waits for ever, and runs that go in one order keep few tensors.
class ReferenceTensors {
 public:
  // Thrown by `give` once nobody takes any more.
  struct Abandoned {};

  // `uses`: how often each tensor will be taken; others are not kept.
  ReferenceTensors(std::map<std::string, size_t, std::less<>> uses, size_t bound_bytes);

  // The first tensor of a name counts.
  void give(const std::string& name, const Tensor& tensor);
  void give_no_more();
  // Waits for it; nothing where it does not come.
  std::optional<Tensor> take(const std::string& name);
  void abandon();

  size_t peak_bytes() const;  // of what was kept at once

 private:
  struct Entry {
    size_t uses = 0;
    std::optional<Tensor> tensor;
    bool given = false;
  };

  const size_t bound_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry, std::less<>> entries_;
  size_t bytes_ = 0;
  size_t peak_ = 0;
  const Entry* wanted_ = nullptr;  // what the taker waits for, until it is there
  bool given_all_ = false;
  bool abandoned_ = false;
};

}  // namespace cleave::cli
