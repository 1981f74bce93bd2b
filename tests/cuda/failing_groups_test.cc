// Ranks that fail at any moment of collectives, direct and recorded ones, on every route: all ranks
// return the failure soon, and the group works again once it has recovered.
#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <ostream>
#include <random>
#include <thread>

#include "comm/nccl/nccl_group.h"
#include "tests/conformance/communicator_fixture.h"
#include "tests/cuda/recorded.h"

namespace cleave::conformance {
namespace {

using std::chrono::microseconds;

// Where in its run the failing rank fails.
enum class Moment { kBefore, kBetween, kInside, kBehind, kByAnotherCall };

struct Trial {
  int failing = 0;
  Moment moment = Moment::kBefore;
  bool recorded = false;
  int64_t count = 1;
  int calls = 1;          // until it fails, where it fails between them
  microseconds pause{0};  // until it fails, where it fails inside of one
};

Trial trial_of(std::mt19937& random, int ranks, int64_t most_elements) {
  const auto below = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(0, most - 1)(random);
  };
  Trial trial;
  trial.failing = static_cast<int>(below(ranks));
  trial.moment = static_cast<Moment>(below(5));
  // What is replayed is no call: it is not compared with those of other ranks.
  trial.recorded = trial.moment != Moment::kByAnotherCall && below(2) == 1;
  trial.count = 1 + below(most_elements);
  trial.calls = static_cast<int>(below(20));
  trial.pause = microseconds(below(2000));
  return trial;
}

struct RouteCase {
  const char* name;
  int64_t flagged_bytes;
  int64_t direct_bytes;
  int trials;  // NCCL's groups take long to be made anew

  friend void PrintTo(const RouteCase& route, std::ostream* out) { *out << route.name; }
};

class FailingGroups : public testing::TestWithParam<RouteCase> {
 protected:
  static constexpr int64_t kMostElements = 200'000;

  void SetUp() override {
    if (gpus() < 2) GTEST_SKIP() << "this machine has not two GPUs";
  }
  static Group make_group(int size) {
    NcclGroupOptions options = {.devices = first_gpus(size)};
    options.flagged_bytes = GetParam().flagged_bytes;
    options.direct_bytes = GetParam().direct_bytes;
    return make_nccl_group(options);
  }
};

void reduce(Operands& on, int64_t count) {
  on.rank.all_reduce(on.src.data(), on.dst.data(), count, DType::kInt32, ReduceOp::kSum,
                     on.handle());
}

// One run of a rank, with the failure in it.
void run_with_failure(Operands& on, const Trial& trial) {
  constexpr int kCalls = 20;
  const bool failing = on.rank.rank() == trial.failing;
  const auto fail = [&] {
    on.rank.abort(Error(ErrorCode::kOutOfMemory, "no memory for the trial"));
    throw Error(ErrorCode::kOutOfMemory, "no memory for the trial");
  };
  std::optional<Graph> graph;
  if (trial.recorded) {
    reduce(on, trial.count);
    graph.emplace(on.stream.get(), [&] { reduce(on, trial.count); });
  }
  const auto call = [&] {
    if (graph) {
      graph->replay(on.stream.get());
    } else {
      reduce(on, trial.count);
    }
  };
  if (failing && trial.moment == Moment::kBefore) fail();
  for (int i = 0; i < kCalls; ++i) {
    if (failing && trial.moment == Moment::kBetween && i == trial.calls) fail();
    if (failing && trial.moment == Moment::kByAnotherCall && i == trial.calls) on.rank.barrier();
    call();
  }
  if (failing && trial.moment == Moment::kInside) {
    std::this_thread::sleep_for(trial.pause);  // the device is at one of the calls, or behind them
    fail();
  }
  on.rank.wait(on.handle());
  if (failing) fail();
  on.rank.barrier(on.handle());  // the failing rank never comes here
  on.rank.wait(on.handle());
}

// The group works: directly and recorded.
void expect_sums(Operands& on, int64_t count) {
  const std::vector<int32_t> ones(static_cast<size_t>(count), 1);
  on.src.fill(ones.data(), count * 4, 0, on.stream.get());
  on.dst.fill(ones.data(), count * 4, 0, on.stream.get());
  reduce(on, count);
  Graph graph(on.stream.get(), [&] { reduce(on, count); });
  for (int replay = 0; replay < 3; ++replay) graph.replay(on.stream.get());
  on.rank.wait(on.handle());
  const Buffer sums = on.result(count, DType::kInt32);
  for (int64_t i = 0; i < count; ++i) {
    int32_t sum = 0;
    std::memcpy(&sum, sums.at(i), sizeof sum);
    ASSERT_EQ(sum, on.rank.size());
  }
}

TEST_P(FailingGroups, ReturnOnAllRanksAndWorkAgain) {
  const int ranks = gpus();
  std::vector<Stream> streams;
  for (const int device : first_gpus(ranks)) streams.emplace_back(device);
  const Group group = make_group(ranks);
  std::vector<std::unique_ptr<Operands>> operands;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto r = static_cast<size_t>(rank);
    streams[r].make_current();
    operands.emplace_back(new Operands{*group[r], streams[r], {}, {}});
    const std::vector<int32_t> ones(kMostElements, 1);
    operands[r]->src.fill(ones.data(), kMostElements * 4, 0, streams[r].get());
    operands[r]->dst.fill(ones.data(), kMostElements * 4, 0, streams[r].get());
  }
  const auto on_ranks = [&](const std::function<void(Operands&)>& body) {
    return run_ranks(group, [&](Communicator& rank) {
      Operands& on = *operands[static_cast<size_t>(rank.rank())];
      on.stream.make_current();
      body(on);
    });
  };
  std::mt19937 random(20);
  for (int number = 0; number < GetParam().trials; ++number) {
    const Trial trial = trial_of(random, ranks, kMostElements);
    SCOPED_TRACE("trial " + std::to_string(number) + ", moment " +
                 std::to_string(static_cast<int>(trial.moment)) +
                 (trial.recorded ? ", recorded" : ""));
    const auto start = std::chrono::steady_clock::now();
    const auto thrown = on_ranks([&](Operands& on) { run_with_failure(on, trial); });
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    for (const auto& error : thrown) EXPECT_NE(message_of(error), "");
    if (trial.moment != Moment::kByAnotherCall) {
      const std::string failure =
          "rank " + std::to_string(trial.failing) + " failed: no memory for the trial";
      for (int rank = 0; rank < ranks; ++rank) {
        if (rank == trial.failing) continue;
        EXPECT_THAT(message_of(thrown[static_cast<size_t>(rank)]), testing::HasSubstr(failure));
      }
    }
    for (const auto& error : on_ranks([&](Operands& on) {
           on.rank.recover();
           expect_sums(on, trial.count);
         })) {
      EXPECT_EQ(message_of(error), "");
    }
    if (HasFailure()) return;
  }
}

constexpr int64_t kMiB = 1 << 20;

INSTANTIATE_TEST_SUITE_P(Routes, FailingGroups,
                         testing::Values(RouteCase{"flagged", 2 * kMiB, 64 * kMiB, 100},
                                         RouteCase{"direct", 0, 64 * kMiB, 100},
                                         RouteCase{"mixed", 128 << 10, 256 << 10, 20},
                                         RouteCase{"nccl", 0, 0, 20}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cleave::conformance
