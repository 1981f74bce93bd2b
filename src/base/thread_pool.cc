#include "base/thread_pool.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace cleave {
namespace {

constexpr uint32_t kStop = 1;
constexpr uint32_t kLoop = 2;

// What the lower half of Share::left holds.
constexpr int64_t kMaxShare = int64_t{1} << 31;

}  // namespace

Range partition(int64_t count, int64_t parts, int64_t part) {
  // ⌊p · count / parts⌋ without the product, which could overflow.
  const auto begin = [&](int64_t p) { return count / parts * p + count % parts * p / parts; };
  return {begin(part), begin(part + 1)};
}

int64_t chunks_for(int64_t count, int64_t min_chunk, int threads) {
  if (count <= 0) return 0;
  return std::clamp<int64_t>(count / std::max<int64_t>(1, min_chunk), 1, threads);
}

ThreadPool::ThreadPool(int threads) : ThreadPool(threads, WaitPolicy::for_threads(threads)) {}

ThreadPool::ThreadPool(int threads, const WaitPolicy& policy)
    : policy_(policy), shares_(static_cast<size_t>(std::max(threads, 1))) {
  CLEAVE_CHECK(threads >= 1, "a pool of " + std::to_string(threads) + " threads");
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { worker(thread); });
  }
}

ThreadPool::~ThreadPool() {
  loops_.set_bits(kStop);
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::acquire() {
  return !busy_.load(std::memory_order_relaxed) && !busy_.exchange(true, std::memory_order_acquire);
}

void ThreadPool::run(int64_t chunks, Call call, void* context) {
  struct Release {
    std::atomic<bool>& busy;
    ~Release() { busy.store(false, std::memory_order_release); }
  } release{busy_};
  // In rounds, so that a share's count fits.
  for (first_chunk_ = 0; first_chunk_ < chunks; first_chunk_ += kMaxShare) {
    run_loop(std::min(chunks - first_chunk_, kMaxShare), call, context);
  }
}

void ThreadPool::run_loop(int64_t chunks, Call call, void* context) {
  call_ = call;
  context_ = context;
  ++loop_;
  unfinished_.store(chunks, std::memory_order_relaxed);
  for (int thread = 0; thread < threads(); ++thread) {
    Share& share = shares_[static_cast<size_t>(thread)];
    share.range = partition(chunks, threads(), thread);
  }
  for (Share& share : shares_) {
    const uint64_t count = static_cast<uint64_t>(share.range.size());
    share.left.store(uint64_t{loop_} << 32 | count, std::memory_order_release);
  }
  loops_.add(kLoop);
  work(0);
  // The word is read before the count: were it the other way round, the end could fall in between.
  uint32_t seen = ended_.load();
  while (unfinished_.load(std::memory_order_acquire) != 0) {
    seen = ended_.wait_while(seen, policy_);
  }
  if (failed_.load(std::memory_order_relaxed)) {
    failed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

// All chunks begun here belong to one loop: it cannot end before they are taken off its count.
void ThreadPool::work(int thread) {
  int64_t done = 0;
  for (int turn = 0; turn < threads(); ++turn) {
    done += drain(shares_[static_cast<size_t>((thread + turn) % threads())]);
  }
  if (done > 0 && unfinished_.fetch_sub(done, std::memory_order_acq_rel) == done) ended_.add(1);
}

int64_t ThreadPool::drain(Share& share) {
  constexpr uint64_t kCount = 0xffffffff;
  int64_t done = 0;
  uint64_t left = share.left.load(std::memory_order_acquire);
  while ((left & kCount) != 0) {
    if (!share.left.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
      continue;
    }
    run_chunk(first_chunk_ + share.range.end - static_cast<int64_t>(left & kCount));
    ++done;
    left = share.left.load(std::memory_order_acquire);
  }
  return done;
}

void ThreadPool::run_chunk(int64_t chunk) {
  if (failed_.load(std::memory_order_relaxed)) return;
  try {
    call_(context_, chunk);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_ || chunk < failed_chunk_) {
      failure_ = std::current_exception();
      failed_chunk_ = chunk;
    }
    failed_.store(true, std::memory_order_relaxed);
  }
}

void ThreadPool::worker(int thread) {
  uint32_t seen = 0;
  while (true) {
    seen = loops_.wait_while(seen, policy_);
    if (seen & kStop) return;
    work(thread);
  }
}

}  // namespace cleave
