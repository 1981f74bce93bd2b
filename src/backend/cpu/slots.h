// Slots: scratch memory for threads that take and give back pieces of a kernel's workspace.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace cleave::backend {

// As many pieces as there are threads, unless they need more than `most` bytes together; at least
// one.
inline int slots_within(int64_t most, int64_t bytes, int threads) {
  return static_cast<int>(
      std::clamp<int64_t>(most / std::max<int64_t>(1, bytes), 1, std::max(1, threads)));
}

// Scratch memory in pieces, one for each thread that computes.
class Slots {
 public:
  Slots(std::byte* memory, int64_t bytes, int count) {
    for (int i = 0; i < count && bytes > 0; ++i) free_.push_back(memory + i * bytes);
    none_ = free_.empty();
  }

  class Slot {
   public:
    explicit Slot(Slots& slots) : slots_(slots), data_(slots.take()) {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() { slots_.give_back(data_); }
    std::byte* data() const { return data_; }

   private:
    Slots& slots_;
    std::byte* data_;
  };

 private:
  std::byte* take() {
    if (none_) return nullptr;
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return !free_.empty(); });
    std::byte* data = free_.back();
    free_.pop_back();
    return data;
  }
  void give_back(std::byte* data) {
    if (none_) return;
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(data);
    }
    freed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::byte*> free_;
  bool none_ = false;
};

}  // namespace cleave::backend
