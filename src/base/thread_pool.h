// Parallelism inside one device: loops shared out to a few threads that are ready at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/wait_word.h"

namespace cleave {

// Contiguous shares of [0, count): part p of N is [⌊p·count/N⌋, ⌊(p+1)·count/N⌋).
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};
Range partition(int64_t count, int64_t parts, int64_t part);

// How many chunks of at least `min_chunk` of `count` items are worth it for `threads` threads: 0
// for no items, else between 1 and `threads`. Depends on its arguments alone.
int64_t chunks_for(int64_t count, int64_t min_chunk, int threads);

// A pool of `threads` threads, the caller of a loop included. Between loops its workers spin for a
// while, then block. A pool of one has no workers and runs loops inline.
//
// Which thread runs a chunk varies; results are the same every time if they depend on the chunk
// alone. Each thread starts on its own contiguous share of the chunks, the same in every loop of
// that many chunks (so that what it reads may still be in its cache), and then helps the others.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ThreadPool(int threads, const WaitPolicy& policy);
  ~ThreadPool();  // no loop may be running
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls `body(chunk)` for every chunk in [0, chunks), on all threads, and returns when all calls
  // have. Once a call has thrown, chunks not yet begun are skipped and the exception of the lowest
  // chunk that threw is thrown here. Called while a loop is running, from inside it or by another
  // thread, the loop runs inline.
  template <class Body>
  void parallel_for(int64_t chunks, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    if (chunks <= 1 || workers_.empty() || !acquire()) {
      for (int64_t chunk = 0; chunk < chunks; ++chunk) body(chunk);
      return;
    }
    const auto call = [](void* context, int64_t chunk) { (*static_cast<Plain*>(context))(chunk); };
    run(chunks, call, const_cast<std::remove_const_t<Plain>*>(&body));
  }

 private:
  using Call = void (*)(void* context, int64_t chunk);

  // The chunks of one thread's share that nobody has begun: the loop's number in the upper half,
  // how many there are in the lower. Chunks are begun by counting down, so that a thread that comes
  // late, when its loop is over, finds 0 or another loop's number, never a chunk.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
    Range range;
  };

  bool acquire();
  void run(int64_t chunks, Call call, void* context);
  void run_loop(int64_t chunks, Call call, void* context);
  void work(int thread);
  int64_t drain(Share& share);
  void run_chunk(int64_t chunk);
  void worker(int thread);

  const WaitPolicy policy_;
  std::vector<Share> shares_;  // by thread; the caller's is the first
  std::vector<std::thread> workers_;
  std::atomic<bool> busy_{false};

  // The loop that runs; written while no chunk is left, read by who has begun a chunk.
  Call call_ = nullptr;
  void* context_ = nullptr;
  int64_t first_chunk_ = 0;
  uint32_t loop_ = 0;

  alignas(64) std::atomic<int64_t> unfinished_{0};
  std::atomic<bool> failed_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  int64_t failed_chunk_ = 0;

  alignas(64) WaitWord loops_;  // changes when a loop starts; its lowest bit asks workers to end
  alignas(64) WaitWord ended_;  // changes when the last chunk of a loop ends
};

}  // namespace cleave
