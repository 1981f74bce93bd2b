// A 32-bit word that threads wait on: they spin, then block in the kernel.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace cleave {

// How a wait spends its time before it blocks: it spins for `spin` at most, for less where spinning
// has lately been in vain.
struct WaitPolicy {
  std::chrono::nanoseconds spin{0};

  // For `threads` that wait for each other: spinning pays only where each has a core of its own.
  static WaitPolicy for_threads(int threads);
};

// Cores this process may run on, at least 1.
int available_cores();

// Every change wakes all waiting threads; what is written before a change is seen by them.
class WaitWord {
 public:
  using Clock = std::chrono::steady_clock;

  uint32_t load() const { return value_.load(std::memory_order_acquire); }
  void add(uint32_t amount);
  void set_bits(uint32_t bits);
  void clear_bits(uint32_t bits);

  // Returns the value once it is not `old` any more, or `old` once `deadline` has passed.
  uint32_t wait_while(uint32_t old, const WaitPolicy& policy,
                      std::optional<Clock::time_point> deadline = std::nullopt);

 private:
  bool spin_while(uint32_t old, const WaitPolicy& policy);
  void wake();

  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
  // What the waiting threads have learnt: how many spins in a row were in vain.
  std::atomic<uint32_t> vain_spins_{0};
};

}  // namespace cleave
