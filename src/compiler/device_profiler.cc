#include "compiler/device_profiler.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "backend/kernel_trial.h"
#include "backend/other_work.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "runtime/rank_threads.h"

namespace cleave::compiler {
namespace {

using backend::KernelProblem;
using backend::TensorView;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostCalls = 2000;
constexpr size_t kLeastCalls = 3;
constexpr size_t kOthersATime = 6;
// What ranks exchange has just been written, and is nearer than what lies in an arena.
constexpr int64_t kExchangedBytes = int64_t{4} << 20;
// What a kernel keeps about its problem is not in cache when a network comes back to it. Of short
// calls that is much of the time: they are timed anew, with about as much read in between as
// activations and weights of all devices are in one run.
constexpr double kShortCallUs = 5;
constexpr double kShortRecordedUs = 20;  // of calls in a recording
constexpr size_t kNetworkBytes = size_t{28} << 20;
constexpr size_t kNetworkCalls = 7;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// What a call takes: the lower quartile, as disturbances only add time.
double typical(std::vector<double>& times) {
  const auto at = times.begin() + static_cast<std::ptrdiff_t>((times.size() - 1) / 4);
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

void rethrow_first(const std::vector<std::exception_ptr>& thrown) {
  for (const std::exception_ptr& one : thrown) {
    if (one) std::rethrow_exception(one);
  }
}

TensorView view_of(const TensorType& type) {
  return TensorView::dense(type.dtype, evaluate(type.shape, {}));
}

void lie(TensorView& view, Format format) { view.strides = dense_strides(format, view.shape); }

// Of a weight of this shape, whatever it is multiplied by: it is packed once for all.
uint64_t key_of(const TensorView& weight) {
  return std::max<uint64_t>(1, hash_bytes(weight.text()));
}

// Buffers and maps of one collective, `elements` the whole tensor's.
class CollectiveTrial {
 public:
  CollectiveTrial(std::string_view op, std::span<backend::Device* const> devices, int64_t elements)
      : op_(op) {
    const auto ranks = static_cast<int64_t>(devices.size());
    const int64_t columns = std::clamp<int64_t>(elements, 1, kColumns);
    const int64_t rows_whole = elements / columns;
    map_ = even_shard_map(rows_whole, columns, 1, ranks);
    shape_ = {rows_whole, columns};
    for (int64_t r = 0; r < ranks; ++r) {
      const Range rows = partition(rows_whole, ranks, r);
      const Range share = partition(columns, ranks, r);
      from_.ranks.push_back(
          {{rows.size(), columns}, {{{rows.begin, 0}, {rows.size(), columns}, {0, 0}}}});
      to_.ranks.push_back(
          {{rows_whole, share.size()}, {{{0, share.begin}, {rows_whole, share.size()}, {0, 0}}}});
    }
    const int64_t bytes = 4 * elements;
    for (backend::Device* device : devices) {
      Rank& rank = ranks_.emplace_back(*device);
      for (int64_t turn = 0; turn < backend::turns_for(2 * bytes, kExchangedBytes); ++turn) {
        rank.source.push_back(device->allocate(bytes, "a collective's operand"));
        rank.destination.push_back(device->allocate(bytes, "a collective's result"));
      }
    }
  }

  // What kernels do before: the data is in the cache of the core that wrote it, the call's code and
  // its destination are not.
  void prepare(int rank) {
    Rank& own = ranks_[static_cast<size_t>(rank)];
    own.other.run();
    ++own.calls;
    const backend::Buffer& source = own.source[own.turn()];
    std::fill_n(reinterpret_cast<float*>(source.data()), source.bytes() / 4,
                static_cast<float>(rank + 1));
  }
  void next_turn(int rank) { ++ranks_[static_cast<size_t>(rank)].calls; }

  void call(Communicator& communicator) {
    Rank& own = ranks_[static_cast<size_t>(communicator.rank())];
    const std::byte* from = own.source[own.turn()].data();
    std::byte* to = own.destination[own.turn()].data();
    const StreamHandle stream = own.device.default_stream();
    if (op_ == "all_reduce") {
      communicator.all_reduce(from, to, map_.elements(), DType::kFloat32, ReduceOp::kSum, stream);
    } else if (op_ == "all_gather") {
      communicator.all_gather(from, to, map_, DType::kFloat32, stream);
    } else if (op_ == "reduce_scatter") {
      communicator.reduce_scatter(from, to, map_, DType::kFloat32, ReduceOp::kSum, stream);
    } else {
      CLEAVE_CHECK(op_ == "all_to_all", "an unknown collective is to be timed");
      communicator.redistribute(from, from_, to, to_, shape_, DType::kFloat32, stream);
    }
  }

 private:
  struct Rank {
    explicit Rank(backend::Device& of) : device(of) {}

    backend::Device& device;
    std::vector<backend::Buffer> source;  // these take turns
    std::vector<backend::Buffer> destination;
    size_t calls = 0;
    backend::OtherWork other;

    size_t turn() const { return calls % source.size(); }
  };
  static constexpr int64_t kColumns = 512;  // of a tensor that is cut along its columns
  std::string_view op_;
  ShardMap map_;
  BoxMap from_;
  BoxMap to_;
  std::vector<int64_t> shape_;
  std::vector<Rank> ranks_;
};

class DeviceProfiler final : public cost::Profiler {
 public:
  DeviceProfiler(std::shared_ptr<const backend::Backend> backend, std::span<const int> devices)
      : backend_(std::move(backend)),
        kernels_(backend_->kernels()),
        others_(devices.size()),
        networks_(devices.size(), backend::OtherWork(kNetworkBytes / devices.size())),
        threads_(static_cast<int>(devices.size()), /*pin=*/false) {
    for (const int index : devices) {
      devices_.push_back(
          backend_->make_device({.index = index, .devices = static_cast<int>(devices.size())}));
      caches_.push_back(std::make_unique<backend::KernelCache>(*devices_.back()));
    }
  }

  int64_t devices() const override { return static_cast<int64_t>(devices_.size()); }
  int64_t threads() const override { return devices_.front()->threads(); }

  void run_between(const std::vector<cost::KernelSpec>& others) override {
    for (auto& own : others_) own.clear();
    for (const cost::KernelSpec& spec : others) {
      // Calls of a recording find the caches as those of a network do: operands take turns. What
      // they seldom find is a kernel before them that lets them start early, as their own does; a
      // library's product does not.
      if (devices_.front()->records() && (spec.op != "matmul" || !others_.front().empty()))
        continue;
      const KernelProblem problem = problem_of(spec);
      const backend::Kernel* kernel = kernels_.choose(problem).kernel;
      if (kernel == nullptr) continue;
      for (size_t r = 0; r < devices_.size(); ++r) {
        devices_[r]->make_current();
        others_[r].push_back(std::make_unique<backend::KernelTrial>(*kernel, problem, *caches_[r],
                                                                    spec.index_extent));
        others_[r].back()->call();
      }
    }
  }

  std::optional<double> kernel_us(const cost::KernelSpec& spec, double seconds) override {
    const KernelProblem problem = problem_of(spec);
    const backend::Kernel* kernel = kernels_.choose(problem).kernel;
    if (kernel == nullptr) return std::nullopt;
    try {
      return time_kernel(spec, *kernel, problem, seconds);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kOutOfMemory) return std::nullopt;
      throw;
    }
  }

  double collective_us(std::string_view op, int64_t ranks, int64_t bytes, double seconds) override {
    std::vector<backend::Device*> members;
    for (int64_t r = 0; r < ranks; ++r) members.push_back(devices_[static_cast<size_t>(r)].get());
    CollectiveTrial trial(op, members, bytes / 4);
    const auto group = backend_->make_group(members, {});
    if (members[0]->records()) return replay_collective(trial, group);
    // All ranks make the same number of calls: first a few, which say how many there is time for.
    const double first = time_collective(trial, group, 4);
    const double calls = seconds * 1e6 / std::max(4 * first, 1.0);
    return time_collective(
        trial, group,
        static_cast<size_t>(std::clamp(calls, double{kLeastCalls * 3}, double{kMostCalls})));
  }

 private:
  // Some of the other kernels, so that a turn does not take long, then the one that is timed.
  double call_us(backend::KernelTrial& trial, size_t rank) {
    auto& others = others_[rank];
    if (devices_[rank]->records()) return trial.call_us();
    for (size_t i = 0; i < std::min(kOthersATime, others.size()); ++i) {
      others[i]->call();
    }
    if (!others.empty()) std::rotate(others.begin(), others.begin() + 1, others.end());
    return trial.call_us();
  }

  // Of a short call in a recording, behind another kernel.
  double behind_other_us(backend::KernelTrial& trial, size_t rank) {
    if (!others_[rank].empty()) {
      trial.run_between([&other = *others_[rank].front()] { other.call(); });
    }
    std::vector<double> times;
    while (times.size() < kLeastCalls) times.push_back(trial.call_us());
    return typical(times);
  }

  KernelProblem problem_of(const cost::KernelSpec& spec) const {
    KernelProblem problem{.op = spec.op, .attributes = spec.attributes};
    for (const TensorType& type : spec.inputs) problem.inputs.push_back(view_of(type));
    for (const TensorType& type : spec.outputs) problem.outputs.push_back(view_of(type));
    for (size_t i = 0; i < (spec.weight ? 1 : problem.inputs.size()); ++i) {
      lie(problem.inputs[i], spec.format);
    }
    for (TensorView& view : problem.outputs) lie(view, spec.format);
    if (!spec.strides.empty()) problem.inputs[0].strides = spec.strides;
    problem.threads = static_cast<int>(threads());
    if (spec.weight) problem.constant_keys = {0, key_of(problem.inputs[1])};
    return problem;
  }

  // A call lasts from when the last rank has come to when the last one has its result.
  double time_collective(CollectiveTrial& trial,
                         const std::vector<std::unique_ptr<Communicator>>& group, size_t calls) {
    struct Span {
      Clock::time_point begin;
      Clock::time_point end;
    };
    std::vector<std::vector<Span>> spans(group.size(), std::vector<Span>(calls));
    rethrow_first(on_all([&](int rank) {
      if (rank >= static_cast<int>(group.size())) return;
      Communicator& communicator = *group[static_cast<size_t>(rank)];
      for (Span& span : spans[static_cast<size_t>(rank)]) {
        trial.prepare(rank);
        communicator.barrier();
        span.begin = Clock::now();
        trial.call(communicator);
        span.end = Clock::now();
      }
    }));
    std::vector<double> times;
    for (size_t call = 0; call < calls; ++call) {
      Span whole = spans[0][call];
      for (const auto& own : spans) {
        whole.begin = std::max(whole.begin, own[call].begin);
        whole.end = std::max(whole.end, own[call].end);
      }
      times.push_back(std::chrono::duration<double, std::micro>(whole.end - whole.begin).count());
    }
    return typical(times);
  }

  // The mean of calls that follow each other in a recording, of the slowest rank. A few replays are
  // steady enough.
  double replay_collective(CollectiveTrial& trial,
                           const std::vector<std::unique_ptr<Communicator>>& group) {
    constexpr size_t kRecorded = 20;
    constexpr size_t kReplays = 7;
    std::vector<std::vector<double>> times(group.size());
    rethrow_first(on_all([&](int rank) {
      const auto r = static_cast<size_t>(rank);
      if (r >= group.size()) return;
      Communicator& communicator = *group[r];
      const StreamHandle stream = devices_[r]->default_stream();
      const auto calls = [&] {
        for (size_t i = 0; i < kRecorded; ++i) {
          trial.next_turn(rank);
          trial.call(communicator);
        }
      };
      calls();
      communicator.wait(stream);
      const auto recording = devices_[r]->record(stream, calls);
      const auto clock = devices_[r]->make_clock(stream);
      for (size_t replay = 0; replay < kReplays; ++replay) {
        recording->replay(stream);
        clock->mark();
        recording->replay(stream);
        clock->mark();
        communicator.wait(stream);
        const auto marks = clock->read();
        times[r].push_back(std::chrono::duration<double, std::micro>(marks[1]).count() / kRecorded);
      }
    }));
    double slowest = 0;
    for (std::vector<double>& own : times) slowest = std::max(slowest, typical(own));
    return slowest;
  }

  // On the devices' threads.
  std::vector<std::exception_ptr> on_all(const std::function<void(int)>& body) {
    return threads_.run([&](int rank) {
      devices_[static_cast<size_t>(rank)]->make_current();
      body(rank);
    });
  }

  double time_kernel(const cost::KernelSpec& spec, const backend::Kernel& kernel,
                     const KernelProblem& problem, double seconds) {
    std::vector<std::unique_ptr<backend::KernelTrial>> trials(devices_.size());
    rethrow_first(on_all([&](int rank) {
      const auto r = static_cast<size_t>(rank);
      trials[r] =
          std::make_unique<backend::KernelTrial>(kernel, problem, *caches_[r], spec.index_extent);
      trials[r]->call();
    }));
    std::vector<double> typical_us(devices_.size());
    rethrow_first(on_all([&](int rank) {
      const auto r = static_cast<size_t>(rank);
      std::vector<double> times;
      const auto begin = Clock::now();
      do {
        times.push_back(call_us(*trials[r], r));
      } while (times.size() < kLeastCalls ||
               (times.size() < kMostCalls && us_since(begin) < seconds * 1e6));
      typical_us[r] = typical(times);
      if (devices_[r]->records()) {
        if (typical_us[r] <= kShortRecordedUs) typical_us[r] = behind_other_us(*trials[r], r);
        return;
      }
      if (typical_us[r] > kShortCallUs) return;
      times.clear();
      for (size_t call = 0; call < kNetworkCalls; ++call) {
        networks_[r].run();
        times.push_back(call_us(*trials[r], r));
      }
      typical_us[r] = std::max(typical_us[r], typical(times));
    }));
    trials.clear();
    // Weights packed for other sizes of this product are needed again at once; others are not.
    if (spec.weight != kept_weight_ || (spec.weight && spec.inputs[1] != kept_)) {
      for (auto& cache : caches_) cache->drop_unused();
    }
    kept_weight_ = spec.weight;
    if (spec.weight) kept_ = spec.inputs[1];
    return std::accumulate(typical_us.begin(), typical_us.end(), 0.0) /
           static_cast<double>(typical_us.size());
  }

  std::shared_ptr<const backend::Backend> backend_;
  backend::KernelRegistry kernels_;
  std::vector<std::unique_ptr<backend::Device>> devices_;
  std::vector<std::unique_ptr<backend::KernelCache>> caches_;
  std::vector<std::vector<std::unique_ptr<backend::KernelTrial>>> others_;  // by device
  std::vector<backend::OtherWork> networks_;                                // by device
  bool kept_weight_ = false;
  TensorType kept_;
  runtime::RankThreads threads_;  // last: its threads end before what they use goes
};

}  // namespace

std::unique_ptr<cost::Profiler> make_device_profiler(
    std::shared_ptr<const backend::Backend> backend, std::span<const int> devices) {
  return std::make_unique<DeviceProfiler>(std::move(backend), devices);
}

}  // namespace cleave::compiler
