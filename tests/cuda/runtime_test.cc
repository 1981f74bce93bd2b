// The runtime on GPUs where something goes wrong: ranks that fail, memory that is not there, GPUs
// that do not reach each other.
#include "cleave/runtime.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <ostream>
#include <random>

#include "backend/cuda/cuda_backend.h"
#include "runtime/runtime_impl.h"
#include "runtime/test_engines.h"
#include "tests/cuda/gpus.h"
#include "tests/support/error_of.h"

namespace cleave::conformance {
namespace {

using backend::KernelProblem;
using program::testing::linear_engine;
using runtime::testing::engine_of;
using runtime::testing::example_input;
using runtime::testing::kK;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kSmall = 7;
constexpr int64_t kLarge = 40'000;  // of 16 rows more than goes in flagged words
constexpr int64_t kBatch = 16;
constexpr int64_t kCopied = 4;

// Called by each rank at each run of the kernel below.
using Hook = std::function<void(int device)>;

// In place of a product: the first elements of x, and zeros.
class CopyKernel final : public backend::Kernel {
 public:
  explicit CopyKernel(Hook hook) : hook_(std::move(hook)) {}
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "copy"; }
  std::optional<std::string> refuses(const KernelProblem&) const override { return std::nullopt; }
  std::unique_ptr<backend::PreparedKernel> prepare(const KernelProblem& problem,
                                                   backend::KernelCache&) const override {
    class Prepared final : public backend::PreparedKernel {
     public:
      Prepared(size_t bytes, Hook hook) : bytes_(bytes), hook_(std::move(hook)) {}
      void run(std::span<const void* const> inputs, std::span<void* const> outputs,
               const backend::Launch& launch) const override {
        int device = 0;
        require(cudaGetDevice(&device));
        if (hook_) hook_(device);
        const auto stream = static_cast<cudaStream_t>(launch.stream.native);
        require(cudaMemsetAsync(outputs[0], 0, bytes_, stream));
        require(cudaMemcpyAsync(outputs[0], inputs[0], kCopied * sizeof(float),
                                cudaMemcpyDeviceToDevice, stream));
      }

     private:
      size_t bytes_;
      Hook hook_;
    };
    return std::make_unique<Prepared>(
        static_cast<size_t>(problem.outputs[0].elements()) * sizeof(float), hook_);
  }

 private:
  Hook hook_;
};

backend::KernelRegistry copy_kernels(Hook hook = {}) {
  backend::KernelRegistry kernels;
  kernels.add(std::make_shared<CopyKernel>(std::move(hook)));
  return kernels;
}

// What two ranks make of x: rank 1 has its columns from the 6th on.
void expect_result(ExecutionContext& context, const Tensor& x) {
  const TensorMap outputs = context.run({{"x", x}});
  for (size_t i = 0; i < kCopied; ++i) {
    EXPECT_EQ(outputs.at("y").span<float>()[i], x.span<float>()[i] + x.span<float>()[6 + i]);
  }
}

Engine linear_on_gpus(int64_t ranks, int64_t columns) {
  program::testing::TestEngine engine = linear_engine(ranks, kK, columns, true);
  engine.data.backend = "cuda";
  return engine_of(engine);
}

Runtime two_gpus(RuntimeOptions options, CanReach can_reach, Hook hook = {}) {
  return make_runtime(DeviceList::parse("cuda:0-1"), std::move(options),
                      backend::make_cuda_backend(std::move(can_reach)),
                      copy_kernels(std::move(hook)));
}

bool nobody_reaches(int, int) { return false; }

struct RouteCase {
  const char* name;
  int64_t columns;
  CanReach can_reach;
  int trials;

  friend void PrintTo(const RouteCase& route, std::ostream* out) { *out << route.name; }
};

class FailingRanks : public testing::TestWithParam<RouteCase> {};

// In the kernel, in a run that is carried out directly or recorded.
TEST_P(FailingRanks, FailTheRunSoonAndTheNextWorks) {
  if (gpus() < 2) GTEST_SKIP() << "this machine has not two GPUs";
  std::atomic<int> failing{-1};
  Runtime runtime = two_gpus({}, GetParam().can_reach, [&](int device) {
    if (device == failing) throw Error(ErrorCode::kOutOfMemory, "no memory for the trial");
  });
  ExecutionContext context = runtime.create_context(linear_on_gpus(2, GetParam().columns));
  const Tensor x = example_input(kBatch);
  std::mt19937 random(8);
  for (int trial = 0; trial < GetParam().trials; ++trial) {
    const auto runs = random() % 2;  // how many are there before
    for (unsigned run = 0; run < runs; ++run) expect_result(context, x);
    const int rank = static_cast<int>(random() % 2);
    failing = rank;
    const auto start = std::chrono::steady_clock::now();
    const Error error = error_of([&] { context.run({{"x", x}}); });
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no memory for the trial"),
                                    HasSubstr("rank " + std::to_string(rank)),
                                    HasSubstr("cuda:" + std::to_string(rank))));
    failing = -1;
    EXPECT_THAT(error_of([&] { context.run({{"x", x}}); }).what(), HasSubstr("has failed before"));
    runtime.recover();
    for (int run = 0; run < 3; ++run) expect_result(context, x);  // directly, recorded, replayed
    // The next trial begins with a context that has recorded nothing.
    context = runtime.create_context(context.engine());
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Routes, FailingRanks,
                         testing::Values(RouteCase{"flagged", kSmall, cuda_can_reach, 60},
                                         RouteCase{"direct", kLarge, cuda_can_reach, 30},
                                         RouteCase{"nccl", kSmall, nobody_reaches, 10}),
                         [](const auto& info) { return info.param.name; });

TEST(RuntimeOnGpus, ThatDoNotReachEachOtherWorksAndWarns) {
  if (gpus() < 2) GTEST_SKIP() << "this machine has not two GPUs";
  std::vector<std::string> warned;
  RuntimeOptions options;
  options.log = [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::kWarning) warned.emplace_back(line);
  };
  Runtime runtime = two_gpus(options, nobody_reaches);
  for (const int64_t columns : {kSmall, kLarge}) {
    ExecutionContext context = runtime.create_context(linear_on_gpus(2, columns));
    for (int run = 0; run < 3; ++run) expect_result(context, example_input(kBatch));
  }
  EXPECT_THAT(warned, testing::ElementsAre(
                          HasSubstr("cuda:0 and cuda:1 cannot reach each other's memory")));
}

int64_t free_bytes() {
  size_t free = 0;
  size_t total = 0;
  require(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

// Takes all memory of the current device but so much, piece by piece.
class Ballast {
 public:
  explicit Ballast(int64_t left) {
    void* kept = nullptr;
    require(cudaMalloc(&kept, static_cast<size_t>(left)));
    for (size_t piece = size_t{64} << 30; piece >= kLeastPiece;) {
      void* data = nullptr;
      if (cudaMalloc(&data, piece) == cudaSuccess) {
        pieces_.push_back(data);
      } else {
        cudaGetLastError();
        piece /= 2;
      }
    }
    require(cudaFree(kept));
  }
  ~Ballast() {
    for (void* piece : pieces_) cudaFree(piece);
  }
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

 private:
  static constexpr size_t kLeastPiece = size_t{2} << 20;
  std::vector<void*> pieces_;
};

constexpr int64_t kMiB = 1 << 20;

// A run needs 64 MiB each for activations, its result and its weights.
TEST(RuntimeOnGpus, OutOfMemoryIsToldNothingLeaksAndTheNextRunWorks) {
  if (gpus() < 1) GTEST_SKIP() << "this machine has no GPU";
  require(cudaSetDevice(0));
  const Engine engine = linear_on_gpus(1, kMiB);
  const Tensor x = example_input(kBatch);
  Runtime runtime =
      make_runtime(DeviceList::parse("cuda:0"), {}, backend::make_cuda_backend(), copy_kernels());
  const auto told = [](const Error& error, const char* what) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_THAT(error.what(), AllOf(HasSubstr(what), HasSubstr("needs 64.0"), HasSubstr("cuda:0"),
                                    HasSubstr("are free")));
    EXPECT_FALSE(error.hint().empty());
  };
  const int64_t used = runtime.memory()[0].used;
  for (int round = 0; round < 3; ++round) {
    {
      const Ballast ballast(16 * kMiB);
      told(error_of([&] { runtime.create_context(engine); }), "activations");
    }
    EXPECT_EQ(runtime.memory()[0].used, used);
    const int64_t free = free_bytes();
    {
      ExecutionContext context = runtime.create_context(engine);
      {
        const Ballast ballast(100 * kMiB);  // for the weights, but not for the result
        told(error_of([&] { context.run({{"x", x}}); }), "rank 0");
      }
      runtime.recover();
      for (int run = 0; run < 3; ++run) {
        const TensorMap outputs = context.run({{"x", x}});
        EXPECT_EQ(outputs.at("y").span<float>()[0], x.span<float>()[0]);
      }
    }
    EXPECT_EQ(runtime.memory()[0].used, used);
    // What CUDA keeps for graphs and streams itself is less than any of ours.
    EXPECT_LT(free - free_bytes(), 32 * kMiB);
  }
}

}  // namespace
}  // namespace cleave::conformance
