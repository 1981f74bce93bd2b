#include "base/wait_word.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>
#include <thread>

namespace cleave {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "a futex is a plain word");

// Tells the core that this is a spin loop.
inline void pause_core() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Sleeps while the word is `old`; may return early. Without a deadline sleeps until woken.
void futex_wait(std::atomic<uint32_t>& word, uint32_t old,
                std::optional<WaitWord::Clock::time_point> deadline) {
  timespec limit{};
  timespec* limit_pointer = nullptr;
  if (deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::nanoseconds>(*deadline - WaitWord::Clock::now());
    const int64_t nanoseconds = std::max<int64_t>(0, left.count());
    limit.tv_sec = nanoseconds / 1'000'000'000;
    limit.tv_nsec = nanoseconds % 1'000'000'000;
    limit_pointer = &limit;
  }
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, old, limit_pointer, nullptr, 0);
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  return std::max(1, CPU_COUNT(&set));
}

// Blocking and being woken takes 5 us on a core of one's own and 30 to 100 us on a virtual machine,
// whose idle cores are taken away (seen with one that runs under KVM); collectives of two ranks
// took ten times as long where each wait ended in the kernel. A wait that has spun twice that has
// lost little more than as much again.
//
// Where cores are shared, every turn of a spin is taken from the awaited thread: no spin at all
// where there are more threads than cores, and less and less where other programs are in the way.
// Offering the core (sched_yield) instead is worse: on a core that other programs use as well it
// gives away whole time slices, some ms each, where a woken thread runs at once.
WaitPolicy WaitPolicy::for_threads(int threads) {
  return {std::chrono::microseconds(threads <= available_cores() ? 200 : 0)};
}

void WaitWord::add(uint32_t amount) {
  value_.fetch_add(amount, std::memory_order_seq_cst);
  wake();
}

void WaitWord::set_bits(uint32_t bits) {
  value_.fetch_or(bits, std::memory_order_seq_cst);
  wake();
}

void WaitWord::clear_bits(uint32_t bits) {
  value_.fetch_and(~bits, std::memory_order_seq_cst);
  wake();
}

// A waiter counts itself before the kernel compares the word, and the word changes before the count
// is read here, all in one total order: either the waiter is seen, or it sees the change.
void WaitWord::wake() {
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// True once the value is not `old`. A spin in vain halves the next one; every so many it is tried
// at its full length again, as the other program may have gone.
bool WaitWord::spin_while(uint32_t old, const WaitPolicy& policy) {
  // The clock is read once in so many turns: a turn takes some 10 ns, a reading some 25.
  constexpr int kTurnsPerReading = 32;
  constexpr uint32_t kMostHalvings = 5;
  constexpr uint32_t kVainSpinsBeforeTrial = 32;
  const uint32_t vain = vain_spins_.load(std::memory_order_relaxed);
  const uint32_t halvings = vain % kVainSpinsBeforeTrial == 0 ? 0 : std::min(vain, kMostHalvings);
  const Clock::time_point end = Clock::now() + policy.spin / (1 << halvings);
  do {
    for (int turn = 0; turn < kTurnsPerReading; ++turn) {
      if (load() != old) {
        // Short waits alone do not show that a long one would end in time.
        if (halvings == 0) vain_spins_.store(0, std::memory_order_relaxed);
        return true;
      }
      pause_core();
    }
  } while (Clock::now() < end);
  vain_spins_.store(vain + 1, std::memory_order_relaxed);
  return false;
}

uint32_t WaitWord::wait_while(uint32_t old, const WaitPolicy& policy,
                              std::optional<Clock::time_point> deadline) {
  uint32_t value = load();
  if (value != old) return value;
  if (policy.spin.count() > 0 && spin_while(old, policy)) return load();
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while ((value = load()) == old && (!deadline || Clock::now() < *deadline)) {
    futex_wait(value_, old, deadline);
  }
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
  return value;
}

}  // namespace cleave
