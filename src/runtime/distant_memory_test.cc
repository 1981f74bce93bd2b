// Devices whose memory is not the host's: what the runtime copies, and what it records.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "backend/host_memory.h"
#include "runtime/rank_io.h"
#include "runtime/recordings.h"
#include "runtime/runtime_impl.h"
#include "runtime/test_engines.h"
#include "runtime/test_kernels.h"
#include "tests/support/distant_backend.h"

namespace cleave::runtime {
namespace {

using cleave::testing::DistantBackend;
using program::testing::linear_engine;
using testing::engine_of;
using testing::example_input;
using testing::kK;
using testing::kN;

TEST(DistantMemory, RunsEqualTheWhole) {
  for (const int ranks : {1, 2, 3}) {
    for (const bool split_k : {false, true}) {
      const auto backend = std::make_shared<DistantBackend>();
      Runtime runtime = make_runtime(DeviceList::cpu(ranks), {}, backend, testing::plain_kernels());
      ExecutionContext context =
          runtime.create_context(engine_of(linear_engine(ranks, kK, kN, split_k)));
      for (const int64_t batch : {4, 1, 16, 0, 4}) {
        const Tensor x = example_input(batch);
        const TensorMap outputs = context.run({{"x", x}});
        EXPECT_EQ(testing::values(outputs.at("y")), testing::expected(x))
            << ranks << " ranks, batch " << batch;
      }
    }
  }
}

TEST(DistantMemory, WhatSlowsTheDevicesDownIsLoggedOnce) {
  const auto backend =
      std::make_shared<DistantBackend>(std::vector<std::string>{"they are far apart"});
  std::vector<std::string> warned;
  RuntimeOptions options;
  options.log = [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::kWarning) warned.emplace_back(line);
  };
  Runtime runtime = make_runtime(DeviceList::cpu(2), options, backend, testing::plain_kernels());
  const Engine engine = engine_of(linear_engine(2, kK, kN, false));
  for (int context = 0; context < 2; ++context) runtime.create_context(engine);
  EXPECT_EQ(warned, std::vector<std::string>{"they are far apart"});
}

// A clock has to be calibrated: runs of a context share theirs, and so do the instructions of one
// whose weights are streamed.
TEST(DistantMemory, TimedRunsShareClocks) {
  for (const bool streamed : {false, true}) {
    const auto backend = std::make_shared<DistantBackend>();
    RuntimeOptions options;
    options.stream_weights = streamed;
    Runtime runtime = make_runtime(DeviceList::cpu(2), options, backend, testing::plain_kernels());
    ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, true)));
    const Tensor x = example_input(4);
    context.run({{"x", x}});
    EXPECT_EQ(backend->counts().clocks, 0);
    for (int run = 0; run < 3; ++run) {
      Timeline timeline;
      const TensorMap outputs = context.run({{"x", x}}, {.timeline = &timeline});
      EXPECT_EQ(testing::values(outputs.at("y")), testing::expected(x));
      ASSERT_EQ(timeline.ranks.size(), 2u);
      EXPECT_EQ(timeline.ranks[0].size(), timeline.instructions.size());
      EXPECT_EQ(backend->counts().clocks, 2);
    }
  }
}

// Nor does it count that one device has its inputs before another.
TEST(DistantMemory, TheTimeOnTheDevicesIsWithoutCopies) {
  const std::chrono::milliseconds late{300};
  const auto backend = std::make_shared<DistantBackend>(std::vector<std::string>{},
                                                        cleave::testing::Lateness{"cpu:1", late});
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, backend, testing::plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, true)));
  const Tensor x = example_input(4);
  context.run({{"x", x}});
  double device_us = 0;
  const auto begin = std::chrono::steady_clock::now();
  context.run({{"x", x}}, {.device_us = &device_us});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, late);
  EXPECT_GT(device_us, 0);
  EXPECT_LT(device_us, 150e3);
}

// Inputs go to every rank that reads them, small results come from one; weights go once.
TEST(DistantMemory, CopiesNoMoreThanItMust) {
  const auto backend = std::make_shared<DistantBackend>();
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, backend, testing::plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, false)));
  const Tensor x = example_input(4);
  context.run({{"x", x}});
  const int64_t first = backend->counts().to_device;
  const int64_t results = backend->counts().to_host;
  context.run({{"x", x}});
  EXPECT_EQ(backend->counts().to_device - first, 2 * static_cast<int64_t>(x.bytes()));
  EXPECT_EQ(results, 4 * kN * int64_t{sizeof(float)});
  EXPECT_EQ(backend->counts().to_host, 2 * results);
}

// Each rank reads some columns: of one row they lie together, of several between the others'.
TEST(DistantMemory, CopiesOfInputsWhatARankReads) {
  const auto backend = std::make_shared<DistantBackend>();
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, backend, testing::plain_kernels());
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, true)));
  for (const int64_t batch : {1, 4, 1}) {
    const Tensor x = example_input(batch);
    context.prepare({{"x", x}});
    const int64_t before = backend->counts().to_device;
    EXPECT_EQ(testing::values(context.run({{"x", x}}).at("y")), testing::expected(x));
    const int64_t read = (2 * batch - 1) * kK;
    EXPECT_EQ(backend->counts().to_device - before, read * int64_t{sizeof(float)}) << batch;
  }
}

TEST(DistantMemory, EveryRankDeliversAShareOfALargeResult) {
  constexpr int64_t kLarge = 300'001;
  for (const int ranks : {1, 2, 3}) {
    const auto backend = std::make_shared<DistantBackend>();
    Runtime runtime = make_runtime(DeviceList::cpu(ranks), {}, backend, testing::plain_kernels());
    ExecutionContext context =
        runtime.create_context(engine_of(linear_engine(ranks, 2, kLarge, false)));
    const Tensor x = example_input(1, 2);
    context.prepare({{"x", x}});  // weights come in pieces
    const int64_t pieces = backend->counts().in_pieces;
    EXPECT_EQ(testing::values(context.run({{"x", x}}).at("y")), testing::expected(x, kLarge));
    EXPECT_EQ(backend->counts().to_host, kLarge * int64_t{sizeof(float)});
    EXPECT_EQ(backend->counts().in_pieces > pieces, ranks == 1);  // shares are not large
  }
}

TEST(RankIo, SharesOfResultsMeet) {
  for (const int64_t bytes : {0, 1, 1 << 20, (1 << 20) + 1, 10'000'019}) {
    for (const int ranks : {1, 2, 3, 7}) {
      int64_t at = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const ByteRange share = share_of_result(bytes, rank, ranks);
        if (share.bytes() == 0) continue;
        EXPECT_EQ(share.begin, at);
        at = share.end;
      }
      EXPECT_EQ(at, bytes) << ranks;
      const int64_t first = share_of_result(bytes, 0, ranks).bytes();
      EXPECT_EQ(first == bytes, ranks == 1 || bytes <= 1 << 20) << bytes << ", " << ranks;
    }
  }
}

std::shared_ptr<backend::HostMemory> host_memory(std::atomic<int>& blocks) {
  return backend::HostMemory::make(
      64 << 20,
      [&blocks](size_t bytes) {
        ++blocks;
        return std::aligned_alloc(4096, bytes);
      },
      [](void* block) { std::free(block); });
}

// What is large goes through memory of the device's own, in pieces, unless it reaches the host's.
TEST(DistantMemory, CopiesInPlaceWhereItCan) {
  constexpr int64_t kBatch = 16;
  constexpr int64_t kLarge = 40'000;
  for (const auto& [k, n] : {std::pair{kLarge, kN}, std::pair{kK, kLarge}}) {
    for (const bool reaches : {false, true}) {
      std::atomic<int> blocks{0};
      const auto backend = std::make_shared<DistantBackend>();
      if (reaches) backend->set_host_memory(host_memory(blocks));
      Runtime runtime = make_runtime(DeviceList::cpu(2), {}, backend, testing::plain_kernels());
      ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, k, n, false)));
      const Tensor example = example_input(kBatch, k);
      Tensor x = runtime.host_tensor(DType::kFloat32, example.shape());
      std::memcpy(x.mutable_data(), example.data(), example.bytes());
      context.run({{"x", x}});  // weights come in pieces
      const auto in_pieces = [&](const Tensor& input) {
        const int64_t before = backend->counts().in_pieces;
        const TensorMap outputs = context.run({{"x", input}});
        EXPECT_EQ(testing::values(outputs.at("y")), testing::expected(example, n));
        return backend->counts().in_pieces - before;
      };
      for (int run = 0; run < 2; ++run) EXPECT_EQ(in_pieces(x) == 0, reaches) << k << " x " << n;
      EXPECT_EQ(blocks, reaches ? 2 : 0);  // the input's, and the results', one after another
      EXPECT_EQ(in_pieces(example) == 0, reaches && n == kLarge);  // not in such memory
    }
  }
}

// A copy to the results of a failed run may still be under way.
TEST(DistantMemory, ResultsOfAFailedRunAreKeptUntilAnotherHasEnded) {
  std::atomic<int> blocks{0};
  const auto memory = host_memory(blocks);
  const auto backend = std::make_shared<DistantBackend>();
  backend->set_host_memory(memory);
  std::atomic<bool> fail{false};
  backend::KernelRegistry kernels;
  testing::add_function(kernels, "matmul", [&](const auto& in, const auto& out, auto x, auto y) {
    if (fail) throw Error(ErrorCode::kDevice, "it fails");
    testing::multiply(in, out, x, y);
  });
  Runtime runtime = make_runtime(DeviceList::cpu(2), {}, backend, kernels);
  ExecutionContext context = runtime.create_context(engine_of(linear_engine(2, kK, kN, false)));
  const Tensor x = example_input(4);
  const size_t bytes = 4 * kN * sizeof(float);
  context.run({{"x", x}});
  EXPECT_EQ(blocks, 1);
  fail = true;
  EXPECT_THROW(context.run({{"x", x}}), Error);
  EXPECT_NE(memory->take(bytes), nullptr);
  EXPECT_EQ(blocks, 2);  // the first is not free
  fail = false;
  runtime.recover();
  context.run({{"x", x}});
  const auto one = memory->take(bytes);
  const auto other = memory->take(bytes);
  EXPECT_EQ(blocks, 2);  // both are
}

// Weights that are noise are made by the host for devices that cannot, as on the CPU.
TEST(DistantMemory, NoiseIsThatOfTheCpu) {
  program::testing::TestEngine engine = linear_engine(2, kK, kN, false);
  program::Weight& weight = engine.data.weights[0];
  uint64_t first = 0;
  for (const std::vector<int64_t>& shape : weight.shapes) {
    NoiseBox box = {.begin = {0, 0}, .extent = shape, .seed = 3, .first = first};
    box.strides = {kN, 1};
    first += static_cast<uint64_t>(shape[1]);
    weight.noise.push_back({{DType::kFloat32}, {std::move(box)}});
  }
  engine.weights->bytes.clear();  // nobody reads them
  lay_out_weights(engine.data, {{0, 0}});
  const Tensor x = example_input(4);
  std::vector<float> expected;
  const auto run = [&](Runtime runtime) {
    ExecutionContext context = runtime.create_context(engine_of(engine));
    EXPECT_EQ(context.weight_loads()[1].bytes, 0);
    const auto got = testing::values(context.run({{"x", x}}).at("y"));
    if (expected.empty()) expected = got;
    EXPECT_EQ(got, expected);
    for (size_t rank = 0; rank < 2; ++rank) {
      const WeightLoad load = context.weight_loads()[rank];
      EXPECT_EQ(load.bytes, static_cast<int64_t>(weight.slices[rank].bytes));
      EXPECT_EQ(load.noise_bytes, load.bytes);
      EXPECT_GT(load.seconds, 0);
    }
  };
  run(make_runtime(DeviceList::cpu(2), {}, testing::plain_kernels()));
  run(make_runtime(DeviceList::cpu(2), {}, std::make_shared<DistantBackend>(),
                   testing::plain_kernels()));
  const float w00 = static_cast<float>(noise_at(3, 0));
  Tensor unit(DType::kFloat32, {1, kK});
  unit.mutable_span<float>()[0] = 1;
  Runtime cpu = make_runtime(DeviceList::cpu(2), {}, testing::plain_kernels());
  EXPECT_EQ(testing::values(cpu.create_context(engine_of(engine)).run({{"x", unit}}).at("y"))[0],
            w00);
}

TEST(RankIo, PlacesStayWhileSizesDoNotGrow) {
  const DistantBackend backend;
  const auto device = backend.make_device({});
  RankIo io;
  std::vector<std::byte> host(1000, std::byte{7});
  const HostTensor large = HostTensor::whole(host.data(), 1000);
  const HostTensor small = HostTensor::whole(host.data(), 10);
  const HostTensor unwanted = HostTensor::whole(nullptr, 100);
  io.begin(*device, std::vector{large}, std::vector{unwanted}, {});
  const std::byte* input = io.inputs()[0];
  const std::byte* output = io.outputs()[0];
  EXPECT_NE(input, host.data());
  EXPECT_NE(output, nullptr);
  io.begin(*device, std::vector{small}, std::vector{unwanted}, {});
  EXPECT_EQ(io.inputs()[0], input);
  EXPECT_EQ(io.outputs()[0], output);
  io.end(*device, {});
  EXPECT_EQ(backend.counts().to_host, 0);
}

class Replays final : public backend::Recording {
 public:
  explicit Replays(int& count) : count_(count) {}
  void replay(StreamHandle) override { ++count_; }

 private:
  int& count_;
};

TEST(Recordings, AreMadeAtTheSecondRunOfTheSameMemoryAndReplayed) {
  int replays = 0;
  int records = 0;
  int direct = 0;
  const Recordings::Record record = [&](const std::function<void()>& work) {
    work();  // what a device does while it records
    ++records;
    return std::make_unique<Replays>(replays);
  };
  const auto work = [&] { ++direct; };
  const auto program = std::make_shared<int>(0);
  const auto other = std::make_shared<int>(0);
  std::byte memory[2] = {};
  Recordings recordings;
  const Recordings::Key key = {program, {&memory[0]}};
  recordings.run(key, {}, record, work);
  EXPECT_EQ(records, 0);
  for (int run = 1; run < 4; ++run) recordings.run(key, {}, record, work);
  EXPECT_EQ(records, 1);
  EXPECT_EQ(replays, 3);
  EXPECT_EQ(direct, 2);
  // Another program, or other memory, has nothing to do with it.
  recordings.run({other, {&memory[0]}}, {}, record, work);
  recordings.run({program, {&memory[1]}}, {}, record, work);
  EXPECT_EQ(records, 1);
  EXPECT_EQ(direct, 4);
  recordings.run(key, {}, record, work);
  EXPECT_EQ(replays, 4);
  recordings.clear();
  recordings.run(key, {}, record, work);
  EXPECT_EQ(replays, 4);
}

TEST(Recordings, OfProgramsThatAreGoneAreDropped) {
  int replays = 0;
  const Recordings::Record record = [&](const std::function<void()>&) {
    return std::make_unique<Replays>(replays);
  };
  Recordings recordings;
  for (size_t i = 0; i < 3 * Recordings::kKept; ++i) {
    const auto program = std::make_shared<int>(0);
    for (int run = 0; run < 2; ++run) recordings.run({program, {}}, {}, record, [] {});
    EXPECT_LE(recordings.size(), 2u);
  }
}

}  // namespace
}  // namespace cleave::runtime
