#include "backend/cuda/cuda_clock.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/launch.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

constexpr uint64_t kLongestHoldNs = 100'000'000;

cudaKernel_t kernel(Modules& modules, const char* name) {
  return modules.get(std::string(device_source("hold")), name);
}

class Event {
 public:
  Event() { cuda_check(cudaEventCreate(&event_), "making an event"); }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&&) = delete;
  ~Event() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Marks are events. They take time themselves, and more than a kernel takes that comes right behind
// another: what a mark adds to a kernel that does nothing is taken off each interval.
class CudaClock final : public StreamClock {
 public:
  CudaClock(cudaStream_t stream, Modules& modules, StreamHold& hold)
      : stream_(stream), hold_(hold) {
    calibrate(kernel(modules, "nothing"));
  }
  ~CudaClock() override { hold_.release(); }

  void mark() override {
    if (used_ == events_.size()) events_.emplace_back();
    cuda_check(cudaEventRecord(events_[used_++].get(), stream_), "recording an event");
  }
  void hold() override { hold_.hold(stream_); }
  void release() override { hold_.release(); }

  std::vector<Duration> read() override {
    cuda_check(cudaStreamSynchronize(stream_), "waiting for the device");
    std::vector<Duration> since_first;
    for (size_t i = 0; i < used_; ++i) {
      if (i == 0) {
        since_first.push_back({});
        continue;
      }
      float ms = 0;
      cuda_check(cudaEventElapsedTime(&ms, events_[i - 1].get(), events_[i].get()),
                 "reading an event");
      const auto interval =
          std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms));
      since_first.push_back(since_first.back() + std::max(interval - mark_, Duration::zero()));
    }
    used_ = 0;
    return since_first;
  }

 private:
  void calibrate(cudaKernel_t nothing) {
    constexpr int kKernels = 32;
    const Grid grid{.blocks = 1, .threads = 32};
    const auto run = [&] { launch_kernel(nothing, grid, {stream_}, {}); };
    run();  // its code is loaded when it is first run
    hold();
    mark();
    for (int i = 0; i < kKernels; ++i) run();
    mark();
    for (int i = 0; i < kKernels; ++i) {
      run();
      mark();
    }
    release();
    const std::vector<Duration> marks = read();
    std::vector<Duration> marked;
    for (size_t i = 2; i < marks.size(); ++i) marked.push_back(marks[i] - marks[i - 1]);
    std::nth_element(marked.begin(), marked.begin() + kKernels / 2, marked.end());
    mark_ = std::max(marked[kKernels / 2] - (marks[1] - marks[0]) / kKernels, Duration::zero());
  }

  cudaStream_t stream_;
  StreamHold& hold_;
  std::vector<Event> events_;
  size_t used_ = 0;
  Duration mark_ = {};
};

}  // namespace

StreamHold::StreamHold(Modules& modules) : kernel_(kernel(modules, "hold")) {
  void* word = nullptr;
  cuda_check(cudaHostAlloc(&word, sizeof *word_, cudaHostAllocPortable), "allocating a word");
  word_ = new (word) uint32_t(0);
}

StreamHold::~StreamHold() { cudaFreeHost(word_); }

void StreamHold::hold(cudaStream_t stream) {
  ++held_;
  launch_kernel(kernel_, {.blocks = 1, .threads = 1}, {stream}, {&word_, &held_, &kLongestHoldNs});
}

void StreamHold::release() { *static_cast<volatile uint32_t*>(word_) = held_; }

void compile_clock(Modules& modules) { kernel(modules, "hold"); }

std::unique_ptr<StreamClock> make_cuda_clock(cudaStream_t stream, Modules& modules,
                                             StreamHold& hold) {
  return std::make_unique<CudaClock>(stream, modules, hold);
}

}  // namespace cleave::backend
