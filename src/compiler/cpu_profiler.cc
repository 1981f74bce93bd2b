#include "compiler/cpu_profiler.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <numeric>
#include <vector>

#include "backend/cpu/cpu_device.h"
#include "base/check.h"
#include "base/thread_pool.h"
#include "comm/local/local_group.h"
#include "program/validate.h"
#include "runtime/rank_threads.h"

namespace cleave::compiler {
namespace {

using backend::Buffer;
using backend::KernelProblem;
using backend::TensorView;
using Clock = std::chrono::steady_clock;

// Weights that take turns, so that each is read from memory: more than a core's share of the cache.
constexpr int64_t kWeightBytes = int64_t{24} << 20;
constexpr int64_t kMostWeights = 32;
// Other operands take turns too: in a network a kernel finds them where an arena of this size has
// them, in a shared cache rather than in the core's own.
constexpr int64_t kArenaBytes = int64_t{4} << 20;
constexpr int64_t kMostTurns = 16;
constexpr size_t kMostCalls = 2000;
constexpr size_t kLeastCalls = 3;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double thread_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// The time of a call. Long ones of a single thread count the time it was running: another
// program's turn on the core is no cost of the kernel's. Short ones are seldom interrupted.
template <class Call>
double call_us(const Call& call, bool alone) {
  constexpr double kLong = 200;
  const double before = alone ? thread_us() : 0;
  const auto start = Clock::now();
  call();
  const double us = us_since(start);
  return alone && us > kLong ? std::min(us, thread_us() - before) : us;
}

// What a call takes: the median, as latencies are reported too.
double typical(std::vector<double>& times) {
  const auto at = times.begin() + static_cast<std::ptrdiff_t>((times.size() - 1) / 2);
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

int64_t bytes_of(const TensorView& view) {
  return view.elements() * static_cast<int64_t>(size_of(view.dtype));
}

// From the first to the last element of a view.
int64_t reach_bytes(const TensorView& view) {
  return program::reach_of(view.shape, view.strides, 0).end *
         static_cast<int64_t>(size_of(view.dtype));
}

// Numbers of usual size: zeros and denormal numbers take other times.
void fill(const TensorView& view, std::byte* data, int64_t index_extent, uint32_t seed) {
  uint32_t state = 12345 + seed;
  for (int64_t i = 0; i < view.elements(); ++i) {
    state = state * 1664525u + 1013904223u;
    if (view.dtype == DType::kFloat32) {
      reinterpret_cast<float*>(data)[i] = static_cast<float>(state >> 8) / (1 << 23) - 1;
    } else if (view.dtype == DType::kInt64) {
      reinterpret_cast<int64_t*>(data)[i] = static_cast<int64_t>(state >> 8) % index_extent;
    }
  }
}

// The operands of one kernel on one device, and the kernel prepared once for each weight.
class Trial {
 public:
  Trial(const cost::KernelSpec& spec, const backend::Kernel& kernel, const KernelProblem& problem,
        backend::KernelCache& cache)
      : device_(cache.device()) {
    allocate_operands(spec, problem);
    const int64_t weight = spec.weight ? bytes_of(problem.inputs[1]) : 0;
    const int64_t copies =
        weight == 0 ? 1 : std::clamp<int64_t>(kWeightBytes / weight, 1, kMostWeights);
    int64_t workspace = 0;
    for (int64_t copy = 0; copy < copies; ++copy) {
      prepared_.push_back(prepare(spec, kernel, problem, cache, copy));
      workspace = std::max(workspace, prepared_.back()->workspace_bytes());
      if (!spec.weight) continue;
      // A kernel that does not repack weights reads a copy of its own.
      weights_.push_back(turns_[0].inputs[1]);
      if (copy == 0 || !prepared_.back()->reads_input(1)) continue;
      buffers_.push_back(device_.allocate(weight, "a weight"));
      std::memcpy(buffers_.back().data(), turns_[0].inputs[1], static_cast<size_t>(weight));
      weights_.back() = buffers_.back().data();
    }
    workspace_ = device_.allocate(workspace, "a workspace");
  }

  void call() {
    Turn& turn = turns_[calls_ % turns_.size()];
    const size_t copy = calls_++ % prepared_.size();
    if (!weights_.empty()) turn.inputs[1] = weights_[copy];
    prepared_[copy]->run(turn.inputs, turn.outputs, workspace_.data(), device_.pool());
  }

 private:
  // Operands of one call.
  struct Turn {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };

  // Weights and tables that are only read in part are there once.
  static bool is_shared(const cost::KernelSpec& spec, size_t input) {
    return (spec.weight && input == 1) || (spec.index_extent > 1 && input == 0);
  }

  void allocate_operands(const cost::KernelSpec& spec, const KernelProblem& problem) {
    int64_t bytes = 1;
    for (size_t i = 0; i < problem.inputs.size(); ++i) {
      if (!is_shared(spec, i)) bytes += bytes_of(problem.inputs[i]);
    }
    for (const TensorView& view : problem.outputs) bytes += bytes_of(view);
    turns_.resize(static_cast<size_t>(std::clamp<int64_t>(kArenaBytes / bytes, 1, kMostTurns)));
    for (size_t t = 0; t < turns_.size(); ++t) {
      for (size_t i = 0; i < problem.inputs.size(); ++i) {
        if (t > 0 && is_shared(spec, i)) {
          turns_[t].inputs.push_back(turns_[0].inputs[i]);
          continue;
        }
        const TensorView& view = problem.inputs[i];
        buffers_.push_back(device_.allocate(reach_bytes(view), "an operand"));
        fill(TensorView::dense(view.dtype, {reach_bytes(view) / int64_t(size_of(view.dtype))}),
             buffers_.back().data(), spec.index_extent, static_cast<uint32_t>(t));
        turns_[t].inputs.push_back(buffers_.back().data());
      }
      for (const TensorView& view : problem.outputs) {
        buffers_.push_back(device_.allocate(bytes_of(view), "a result"));
        turns_[t].outputs.push_back(buffers_.back().data());
      }
    }
  }

  std::unique_ptr<backend::PreparedKernel> prepare(const cost::KernelSpec& spec,
                                                   const backend::Kernel& kernel,
                                                   KernelProblem problem,
                                                   backend::KernelCache& cache, int64_t copy) {
    if (spec.weight) {
      problem.constant_inputs.assign(problem.inputs.size(), nullptr);
      problem.constant_inputs[1] = turns_[0].inputs[1];
      problem.constant_keys.assign(problem.inputs.size(), 0);
      uint64_t key = static_cast<uint64_t>(copy) + 1;
      for (const int64_t extent : problem.inputs[1].shape) {
        key = key * 1000003 + static_cast<uint64_t>(extent);
      }
      problem.constant_keys[1] = key;
    }
    return kernel.prepare(problem, cache);
  }

  backend::Device& device_;
  std::vector<Buffer> buffers_;
  std::vector<Turn> turns_;
  std::vector<const void*> weights_;  // by prepared kernel, where one is a weight
  std::vector<std::unique_ptr<backend::PreparedKernel>> prepared_;
  Buffer workspace_;
  size_t calls_ = 0;
};

// Buffers and maps of one collective, `elements` the whole tensor's.
class CollectiveTrial {
 public:
  CollectiveTrial(std::string_view op, int ranks, int64_t elements)
      : op_(op), map_(even_shard_map(kRows, elements / kRows, 1, ranks)) {
    const int64_t columns = elements / kRows;
    shape_ = {kRows, columns};
    for (int64_t r = 0; r < ranks; ++r) {
      const Range rows = partition(kRows, ranks, r);
      const Range share = partition(columns, ranks, r);
      from_.ranks.push_back(
          {{rows.size(), columns}, {{{rows.begin, 0}, {rows.size(), columns}, {0, 0}}}});
      to_.ranks.push_back(
          {{kRows, share.size()}, {{{0, share.begin}, {kRows, share.size()}, {0, 0}}}});
      source_.emplace_back(static_cast<size_t>(elements), 1.0f);
      destination_.emplace_back(static_cast<size_t>(elements), 0.0f);
    }
  }

  // What a kernel does before: the data is in the cache of the core that wrote it.
  void write_source(int rank) {
    std::vector<float>& source = source_[static_cast<size_t>(rank)];
    std::fill(source.begin(), source.end(), static_cast<float>(rank + 1));
  }

  void call(Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    const float* from = source_[rank].data();
    float* to = destination_[rank].data();
    if (op_ == "all_reduce") {
      communicator.all_reduce(from, to, map_.elements(), DType::kFloat32, ReduceOp::kSum);
    } else if (op_ == "all_gather") {
      communicator.all_gather(from, to, map_, DType::kFloat32);
    } else if (op_ == "reduce_scatter") {
      communicator.reduce_scatter(from, to, map_, DType::kFloat32, ReduceOp::kSum);
    } else {
      CLEAVE_CHECK(op_ == "all_to_all", "an unknown collective is to be timed");
      communicator.redistribute(from, from_, to, to_, shape_, DType::kFloat32);
    }
  }

 private:
  static constexpr int64_t kRows = 16;  // of a tensor that is cut along its columns
  std::string_view op_;
  ShardMap map_;
  BoxMap from_;
  BoxMap to_;
  std::vector<int64_t> shape_;
  std::vector<std::vector<float>> source_;
  std::vector<std::vector<float>> destination_;
};

class CpuProfiler final : public cost::Profiler {
 public:
  CpuProfiler(int devices, backend::KernelRegistry kernels)
      : kernels_(std::move(kernels)), threads_(devices, /*pin=*/false) {
    for (int i = 0; i < devices; ++i) {
      devices_.push_back(backend::make_cpu_device({.index = i, .devices = devices}));
      caches_.push_back(std::make_unique<backend::KernelCache>(*devices_.back()));
    }
  }

  int64_t devices() const override { return static_cast<int64_t>(devices_.size()); }
  int64_t threads() const override { return devices_.front()->threads(); }

  std::optional<double> kernel_us(const cost::KernelSpec& spec, double seconds) override {
    KernelProblem problem{.op = spec.op, .attributes = spec.attributes};
    for (const TensorType& type : spec.inputs) problem.inputs.push_back(view_of(type));
    if (!spec.strides.empty()) problem.inputs[0].strides = spec.strides;
    for (const TensorType& type : spec.outputs) problem.outputs.push_back(view_of(type));
    problem.threads = static_cast<int>(threads());
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
    const int members = static_cast<int>(ranks);
    CollectiveTrial trial(op, members, bytes / 4);
    auto group = make_local_group(members);
    // All ranks make the same number of calls: first a few, which say how many there is time for.
    const double first = time_collective(trial, group, 4);
    const double calls = seconds * 1e6 / std::max(4 * first, 1.0);
    return time_collective(
        trial, group,
        static_cast<size_t>(std::clamp(calls, double{kLeastCalls * 3}, double{kMostCalls})));
  }

 private:
  // A call lasts from when the last rank has come to when the last one has its result.
  double time_collective(CollectiveTrial& trial,
                         const std::vector<std::unique_ptr<Communicator>>& group, size_t calls) {
    struct Span {
      Clock::time_point begin;
      Clock::time_point end;
    };
    std::vector<std::vector<Span>> spans(group.size(), std::vector<Span>(calls));
    rethrow_first(threads_.run([&](int rank) {
      if (rank >= static_cast<int>(group.size())) return;
      Communicator& communicator = *group[static_cast<size_t>(rank)];
      for (Span& span : spans[static_cast<size_t>(rank)]) {
        trial.write_source(rank);
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

  double time_kernel(const cost::KernelSpec& spec, const backend::Kernel& kernel,
                     const KernelProblem& problem, double seconds) {
    std::vector<std::unique_ptr<Trial>> trials(devices_.size());
    rethrow_first(threads_.run([&](int rank) {
      const auto r = static_cast<size_t>(rank);
      trials[r] = std::make_unique<Trial>(spec, kernel, problem, *caches_[r]);
      trials[r]->call();
    }));
    std::vector<double> typical_us(devices_.size());
    const bool alone = threads() == 1;
    rethrow_first(threads_.run([&](int rank) {
      const auto r = static_cast<size_t>(rank);
      std::vector<double> times;
      const auto begin = Clock::now();
      do {
        times.push_back(call_us([&] { trials[r]->call(); }, alone));
      } while (times.size() < kLeastCalls ||
               (times.size() < kMostCalls && us_since(begin) < seconds * 1e6));
      typical_us[r] = typical(times);
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

  backend::KernelRegistry kernels_;
  std::vector<std::unique_ptr<backend::Device>> devices_;
  std::vector<std::unique_ptr<backend::KernelCache>> caches_;
  bool kept_weight_ = false;
  TensorType kept_;
  runtime::RankThreads threads_;  // last: its threads end before what they use goes
};

}  // namespace

std::unique_ptr<cost::Profiler> make_cpu_profiler(int devices, backend::KernelRegistry kernels) {
  return std::make_unique<CpuProfiler>(devices, std::move(kernels));
}

}  // namespace cleave::compiler
