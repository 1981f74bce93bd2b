#include "cleave/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/file.h"
#include "cleave/error.h"
#include "program/engine_file.h"
#include "program/testing.h"
#include "runtime/engine_impl.h"
#include "runtime/runtime_impl.h"
#include "runtime/test_engines.h"
#include "runtime/test_kernels.h"
#include "tests/support/error_of.h"

namespace cleave {
namespace {

using program::testing::linear_engine;
using program::testing::TestEngine;
using runtime::testing::engine_of;
using runtime::testing::example_input;
using runtime::testing::expected;
using runtime::testing::kK;
using runtime::testing::kN;
using runtime::testing::plain_kernels;
using runtime::testing::values;
using ::testing::HasSubstr;

TEST(Runtime, SplitProgramsEqualTheWhole) {
  for (const int ranks : {1, 2, 3, 4, 8, 16}) {  // more ranks than columns: empty shares
    for (const bool split_k : {false, true}) {
      Runtime runtime = make_runtime(DeviceList::cpu(ranks), {}, plain_kernels());
      ExecutionContext context =
          runtime.create_context(engine_of(linear_engine(ranks, kK, kN, split_k)));
      for (const int64_t batch : {4, 1, 16, 0, 4}) {
        const Tensor x = example_input(batch);
        const TensorMap outputs = context.run({{"x", x}});
        EXPECT_EQ(outputs.at("y").shape(), (std::vector<int64_t>{batch, kN}));
        EXPECT_EQ(values(outputs.at("y")), expected(x)) << ranks << " ranks, batch " << batch;
      }
    }
  }
}

TEST(Runtime, RunsAnEngineFromAFile) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("cleave_run_" + std::to_string(::getpid()));
  engine_of(linear_engine(2, kK, kN, true)).save(path);
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
  const Tensor x = example_input(3);
  {
    const Engine engine = Engine::load(path);
    EXPECT_EQ(engine.devices(), 2);
    EXPECT_EQ(engine.inputs()[0].shape[0].text, "batch");
    EXPECT_EQ(engine.inputs()[0].shape[0].max, 16);
    EXPECT_EQ(engine.collectives(), (std::map<std::string, int64_t>{{"all_reduce", 1}}));
    EXPECT_EQ(engine.weights_bytes(), (std::vector<int64_t>{6 * kN * 4, 7 * kN * 4}));
    ExecutionContext context = runtime.create_context(engine);
    EXPECT_EQ(values(context.run({{"x", x}}).at("y")), expected(x));
  }
  // Any changed byte, wherever it lies, is found before there is an output.
  const std::string whole = read_file(path);
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 300; ++trial) {
    std::string changed = whole;
    const size_t at = random() % whole.size();
    changed[at] = static_cast<char>(changed[at] ^ (1 << (random() % 8)));
    const Error error = error_of([&] {
      const program::OpenEngine opened = program::open_engine(memory_source("e", changed));
      ExecutionContext context = runtime.create_context(make_engine(opened.data, opened.weights));
      context.run({{"x", x}});
    });
    EXPECT_EQ(error.code(), ErrorCode::kInvalid) << error.what() << " byte " << at;
  }
  // The group has not failed by that.
  EXPECT_NO_THROW(runtime.create_context(Engine::load(path)).run({{"x", x}}));
  // A file that shrinks between opening and running.
  {
    const Engine engine = Engine::load(path);
    std::filesystem::resize_file(path, whole.size() - 100);
    const Error error = error_of([&] { runtime.create_context(engine).run({{"x", x}}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  }
  std::filesystem::remove(path);
}

TEST(Runtime, WrongInputsAreNamed) {
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, false)));
  const struct {
    TensorMap inputs;
    const char* message;
  } cases[] = {
      {{}, "input 'x' is missing"},
      {{{"x", example_input(1)}, {"z", example_input(1)}}, "no input 'z'"},
      {{{"x", Tensor(DType::kFloat64, {1, kK})}}, "f64[1, 13] was given, f32[batch, 13]"},
      {{{"x", Tensor(DType::kFloat32, {kK})}}, "f32[13] was given"},
      {{{"x", example_input(1, 12)}}, "dimension 1 is 12, it must be 13"},
      {{{"x", example_input(17)}}, "'batch' is 17, the engine was built for 0 to 16"},
  };
  for (const auto& c : cases) {
    const Error error = error_of([&] { context.run(c.inputs); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.what(), HasSubstr(c.message));
    EXPECT_FALSE(error.hint().empty()) << error.what();
  }
  const Tensor x = example_input(16);
  EXPECT_EQ(values(context.run({{"x", x}}).at("y")), expected(x));
}

TEST(Runtime, AnEngineForOtherDevicesIsRefused) {
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
  const Error error =
      error_of([&] { runtime.create_context(engine_of(linear_engine(3, kK, kN, false))); });
  EXPECT_THAT(error.what(), HasSubstr("built for 3 devices, 2 were given"));
}

TEST(Runtime, AMissingKernelIsUnsupportedAndNamed) {
  TestEngine engine = linear_engine(2, kK, kN, false);
  engine.instructions()[0].op = "frobnicate";
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(engine));
  const Error error = error_of([&] { context.run({{"x", example_input(2)}}); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("frobnicate"));
}

TEST(Runtime, TheMemoryLimitHolds) {
  RuntimeOptions options;
  options.memory_limit = 80 << 10;
  Runtime runtime = make_runtime(DeviceList::cpu(2), options, plain_kernels());
  // Each half of the weight needs 128 KiB: that is known before anything is loaded.
  const Error early =
      error_of([&] { runtime.create_context(engine_of(linear_engine(2, 256, 256, false))); });
  EXPECT_EQ(early.code(), ErrorCode::kOutOfMemory);
  EXPECT_THAT(early.what(), AllOf(HasSubstr("cpu:0"), HasSubstr("0.1 MiB"), HasSubstr("limit")));
  // Here only contexts together need too much.
  const Engine half = engine_of(linear_engine(2, 100, 200, false));
  ExecutionContext first = runtime.create_context(half);
  EXPECT_NO_THROW(first.run({{"x", example_input(1, 100)}}));
  ExecutionContext second = runtime.create_context(engine_of(linear_engine(2, 100, 200, true)));
  const Error error = error_of([&] { second.run({{"x", example_input(1, 100)}}); });
  EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  EXPECT_THAT(error.what(), HasSubstr("weight 'W'"));
  EXPECT_NO_THROW(first.run({{"x", example_input(1, 100)}}));
  // What fits still runs.
  // What fits still runs.
  ExecutionContext small = runtime.create_context(engine_of(linear_engine(2, kK, kN, false)));
  EXPECT_NO_THROW(small.run({{"x", example_input(1)}}));
  for (const DeviceMemory& memory : runtime.memory()) {
    EXPECT_GT(memory.used, 0);
    EXPECT_LE(memory.peak, 80 << 10);
    EXPECT_EQ(memory.limit, 80 << 10);
  }
}

// A kernel that keeps a packed weight lets go of the original.
TEST(Runtime, PackedWeightsReplaceTheOriginals) {
  class Packing final : public backend::Kernel {
   public:
    std::string_view op() const override { return "matmul"; }
    std::string_view name() const override { return "packing"; }
    std::optional<std::string> refuses(const backend::KernelProblem&) const override {
      return std::nullopt;
    }
    std::unique_ptr<backend::PreparedKernel> prepare(const backend::KernelProblem& problem,
                                                     backend::KernelCache& cache) const override {
      class Prepared final : public backend::PreparedKernel {
       public:
        Prepared(const backend::KernelProblem& p, std::shared_ptr<const backend::Buffer> weight)
            : inputs(p.inputs), outputs(p.outputs), weight(std::move(weight)) {}
        bool reads_input(size_t input) const override { return input != 1; }
        void run(runtime::testing::Inputs in, runtime::testing::Outputs out,
                 const backend::Launch&) const override {
          EXPECT_EQ(in[1], nullptr);
          const void* both[] = {in[0], weight->data()};
          runtime::testing::multiply(inputs, outputs, both, out);
        }
        std::vector<backend::TensorView> inputs, outputs;
        std::shared_ptr<const backend::Buffer> weight;
      };
      EXPECT_FALSE(problem.is_constant(0));
      EXPECT_TRUE(problem.is_constant(1));
      EXPECT_NE(problem.key(1), 0u);
      const int64_t bytes = problem.inputs[1].elements() * 4;
      return std::make_unique<Prepared>(
          problem, cache.packed(problem.key(1), bytes, "packed", [&](std::byte* into) {
            std::memcpy(into, problem.constant(1), static_cast<size_t>(bytes));
          }));
    }
  };
  backend::KernelRegistry kernels = plain_kernels();
  kernels.add_front(std::make_shared<Packing>());
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, kernels);
  // Counts how often weights are read.
  class Counting final : public program::WeightSource {
   public:
    explicit Counting(std::shared_ptr<const program::WeightSource> s) : source(std::move(s)) {}
    std::vector<uint64_t> pieces(size_t weight, int64_t rank) const override {
      ++reads;
      return source->pieces(weight, rank);
    }
    void read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const override {
      source->read(weight, rank, piece, into);
    }
    std::shared_ptr<const program::WeightSource> source;
    mutable std::atomic<int> reads{0};
  };
  const TestEngine engine = linear_engine(2, 256, 256, false);
  const auto counting = std::make_shared<Counting>(engine.weights);
  ExecutionContext context = runtime.create_context(make_engine(engine.data, counting));
  const int64_t before = runtime.memory()[0].used;
  for (const int64_t batch : {1, 2, 3}) {
    const Tensor x = example_input(batch, 256);
    EXPECT_EQ(values(context.run({{"x", x}}).at("y")), expected(x, 256));
    EXPECT_LT(runtime.memory()[0].used - before, 128 * 1024 + 64 * 1024);
    EXPECT_EQ(counting->reads.load(), 2);  // once a rank, however many shapes
  }
}

TEST(Runtime, ManyShapesKeepWithinTheCache) {
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, plain_kernels());
  TestEngine wide = linear_engine(2, kK, kN, true);
  wide.program().symbols[0].max = 100;
  wide.program().arena_bytes = (100 * kN * 4 + 63) / 64 * 64;
  ExecutionContext context = runtime.create_context(engine_of(wide));
  for (int round = 0; round < 2; ++round) {
    for (int64_t batch = 0; batch <= 100; ++batch) {
      const Tensor x = example_input(batch);
      ASSERT_EQ(values(context.run({{"x", x}}).at("y")), expected(x));
    }
  }
}

TEST(Runtime, ContextsOfSeveralThreadsRunInOneOrder) {
  Runtime runtime = make_runtime(DeviceList::cpu(3), {}, plain_kernels());
  const Engine columns = engine_of(linear_engine(3, kK, kN, false));
  const Engine rows = engine_of(linear_engine(3, kK, kN, true));
  ExecutionContext shared = runtime.create_context(rows);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      ExecutionContext own = runtime.create_context(t % 2 == 0 ? columns : rows);
      for (int64_t i = 0; i < 100; ++i) {
        const Tensor x = example_input((i + t) % 17);
        if (values(own.run({{"x", x}}).at("y")) != expected(x)) ++wrong;
        if (values(shared.run({{"x", x}}).at("y")) != expected(x)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

// Rank `failing` fails in its kernel; the others wait in the collective that follows.
TEST(Runtime, AFailingRankFailsTheGroupUntilItRecovers) {
  for (const bool typed : {true, false}) {
    std::atomic<bool> fail{true};
    std::atomic<int> turn{0};
    backend::KernelRegistry kernels;
    runtime::testing::add_function(
        kernels, "matmul", [&](const auto& in, const auto& out, auto inputs, auto outputs) {
          // Of kK rows three ranks hold 4, 4 and 5.
          if (fail && in[1].shape[0] == 5) {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            if (typed) throw Error(ErrorCode::kOutOfMemory, "no memory for the test");
            throw std::runtime_error("not one of ours");
          }
          ++turn;
          runtime::testing::multiply(in, out, inputs, outputs);
        });
    Runtime runtime = make_runtime(DeviceList::cpu(3), {}, kernels);
    const Engine engine = engine_of(linear_engine(3, kK, kN, true));
    ExecutionContext context = runtime.create_context(engine);
    ExecutionContext other = runtime.create_context(engine);
    const Tensor x = example_input(4);

    const auto start = std::chrono::steady_clock::now();
    double device_us = 0;
    RunOptions timed;
    timed.device_us = &device_us;
    const Error error = error_of([&] { context.run({{"x", x}}, timed); });
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    EXPECT_EQ(error.code(), typed ? ErrorCode::kOutOfMemory : ErrorCode::kInternal);
    EXPECT_THAT(error.what(), HasSubstr("rank 2"));
    EXPECT_THAT(error.what(), HasSubstr("instruction 0"));

    fail = false;
    for (ExecutionContext* c : {&context, &other}) {
      const Error again = error_of([&] { c->run({{"x", x}}); });
      EXPECT_EQ(again.code(), ErrorCode::kDevice);
      EXPECT_THAT(again.what(), HasSubstr("has failed before"));
      EXPECT_THAT(again.what(), HasSubstr("recover"));
    }
    runtime.recover();
    for (ExecutionContext* c : {&context, &other}) {
      EXPECT_EQ(values(c->run({{"x", x}}).at("y")), expected(x));
    }
    // Of this run alone, not from where the failed one began.
    const auto again = std::chrono::steady_clock::now();
    context.run({{"x", x}}, timed);
    const std::chrono::duration<double, std::micro> wall = std::chrono::steady_clock::now() - again;
    EXPECT_GT(device_us, 0);
    EXPECT_LE(device_us, wall.count());
    EXPECT_NO_THROW(runtime.recover());
    EXPECT_NO_THROW(context.run({{"x", x}}));
  }
}

TEST(Runtime, ALateRankFailsTheGroup) {
  RuntimeOptions options;
  options.lateness_limit = std::chrono::milliseconds(500);
  std::atomic<bool> late{true};
  backend::KernelRegistry kernels;
  runtime::testing::add_function(kernels, "matmul",
                                 [&](const auto& in, const auto& out, auto inputs, auto outputs) {
                                   if (late && in[1].shape[0] == 7)
                                     std::this_thread::sleep_for(std::chrono::seconds(1));
                                   runtime::testing::multiply(in, out, inputs, outputs);
                                 });
  Runtime runtime = make_runtime(DeviceList::cpu(2), options, kernels);
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, true)));
  const Tensor x = example_input(4);
  const Error error = error_of([&] { context.run({{"x", x}}); });
  EXPECT_EQ(error.code(), ErrorCode::kDevice);
  EXPECT_THAT(error.what(), HasSubstr("1"));
  late = false;
  runtime.recover();
  EXPECT_EQ(values(context.run({{"x", x}}).at("y")), expected(x));
}

TEST(Runtime, TimelinesTellComputationFromCommunicationAndWaiting) {
  backend::KernelRegistry kernels;
  runtime::testing::add_function(kernels, "matmul",
                                 [&](const auto& in, const auto& out, auto inputs, auto outputs) {
                                   if (in[1].shape[0] == 7)
                                     std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                   runtime::testing::multiply(in, out, inputs, outputs);
                                 });
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, kernels);
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, true)));
  TimingSummary summary;
  Timeline timeline;
  for (int run = 0; run < 3; ++run) {
    const Tensor x = example_input(4);
    EXPECT_EQ(values(context.run({{"x", x}}, {.timeline = &timeline}).at("y")), expected(x));
    summary.add(timeline);
  }
  ASSERT_EQ(timeline.ranks.size(), 2u);
  ASSERT_EQ(timeline.ranks[0].size(), 2u);
  EXPECT_EQ(timeline.instructions[1].op, "all_reduce");
  EXPECT_TRUE(timeline.instructions[1].communication);
  EXPECT_GT(timeline.ranks[0][1].waiting_us, 10000);  // rank 0 waits for the slow rank 1
  EXPECT_LT(timeline.ranks[0][1].duration_us, 10000);
  EXPECT_GE(timeline.total_us, 20000);
  EXPECT_GE(summary.compute_us(), 20000);
  EXPECT_LT(summary.communication_us(), 10000);
  EXPECT_GT(summary.waiting_us(), 10000);
  const auto rows = summary.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_GE(rows[0].median_us, 20000);
  EXPECT_EQ(rows[0].kernel, "function");
  const std::string trace = chrome_trace(timeline);
  EXPECT_THAT(trace, HasSubstr("\"rank 1 cpu:1\""));
  EXPECT_THAT(trace, HasSubstr("\"stream 0\""));
  EXPECT_THAT(trace, HasSubstr("\"matmul fc\""));
  EXPECT_THAT(trace, HasSubstr("\"all_reduce fc\""));
  EXPECT_THAT(trace, HasSubstr("\"cat\":\"communication\""));
}

TEST(Runtime, RanksPrepareTheSameProgramEachFromAnotherInstructionOn) {
  std::mutex mutex;
  std::vector<std::string> lines;
  RuntimeOptions options;
  options.log = [&](LogLevel level, std::string_view line) {
    const std::lock_guard lock(mutex);
    if (level == LogLevel::kDebug) lines.emplace_back(line.substr(0, line.find(" f32")));
  };
  program::testing::TestEngine engine = linear_engine(2, kK, kN, true);
  std::vector<program::Instruction>& instructions = engine.instructions();
  instructions.insert(instructions.begin(), instructions[0]);
  instructions[0].name = "first";
  Runtime runtime = make_runtime(DeviceList::cpu(2), options, plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(std::move(engine)));
  const Tensor x = example_input(3);
  EXPECT_EQ(values(context.run({{"x", x}}).at("y")), expected(x));
  const auto of_rank = [&](const std::string& device) {
    std::vector<std::string> own;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(own),
                 [&](const std::string& line) { return line.starts_with(device); });
    return own;
  };
  EXPECT_THAT(of_rank("cpu:0"), testing::ElementsAre("cpu:0: matmul first", "cpu:0: matmul fc"));
  EXPECT_THAT(of_rank("cpu:1"), testing::ElementsAre("cpu:1: matmul fc", "cpu:1: matmul first"));
}

TEST(Runtime, LogsWhichKernelAndWhy) {
  std::mutex mutex;
  std::string lines;
  RuntimeOptions options;
  options.log = [&](LogLevel level, std::string_view line) {
    const std::lock_guard lock(mutex);
    if (level == LogLevel::kDebug) lines += std::string(line) + "\n";
  };
  Runtime runtime = make_runtime(DeviceList::cpu(2), options, plain_kernels());
  runtime.create_context(engine_of(linear_engine(2, kK, kN, true)))
      .prepare({{"x", example_input(2)}});
  EXPECT_THAT(lines, HasSubstr("cpu:1: matmul fc f32[2, 7]"));
  EXPECT_THAT(lines, HasSubstr("function"));
}

}  // namespace
}  // namespace cleave
