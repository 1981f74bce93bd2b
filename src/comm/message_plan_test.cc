#include "comm/message_plan.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/conformance/communicator_cases.h"

namespace cleave {
namespace {

using conformance::Buffer;

std::byte* at(Buffer& buffer, int64_t offset) {
  return static_cast<std::byte*>(buffer.data()) + offset;
}
const std::byte* at(const Buffer& buffer, int64_t offset) {
  return static_cast<const std::byte*>(buffer.data()) + offset;
}

using Memory = std::vector<std::byte>;

const std::byte* place(const Message& message, const Buffer& tensor, const Memory& staging) {
  return message.staged ? staging.data() + message.offset : at(tensor, message.offset);
}

// Sends messages between ranks that are simulated one after the other.
std::vector<Buffer> exchanged(const std::vector<std::vector<CopyStep>>& steps,
                              const std::vector<Buffer>& sources, std::vector<Buffer> results,
                              int64_t element_size) {
  const auto ranks = steps.size();
  std::vector<ExchangePlan> plans;
  std::vector<Memory> sent(ranks);
  for (size_t r = 0; r < ranks; ++r) {
    plans.push_back(plan_exchange(steps, static_cast<int>(r), element_size));
    sent[r].resize(static_cast<size_t>(plans[r].send_staging));
    run_table(plans[r].pack, sources[r].data(), sent[r].data());
  }
  for (size_t r = 0; r < ranks; ++r) {
    Memory received(static_cast<size_t>(plans[r].receive_staging));
    for (size_t p = 0; p < ranks; ++p) {
      const Message& from = plans[p].sends[r];
      const Message& to = plans[r].receives[p];
      EXPECT_EQ(from.bytes, to.bytes);
      if (to.bytes == 0) continue;
      std::memcpy(to.staged ? received.data() + to.offset : at(results[r], to.offset),
                  place(from, sources[p], sent[p]), static_cast<size_t>(to.bytes));
    }
    run_table(plans[r].local, sources[r].data(), results[r].data());
    run_table(plans[r].unpack, received.data(), results[r].data());
  }
  return results;
}

TEST(MessagePlan, GathersEveryMap) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (const conformance::ShardCase& test : conformance::shard_cases(ranks)) {
      const Buffer whole = conformance::bit_patterns(test.map.elements(), DType::kFloat16, 1);
      std::vector<std::vector<CopyStep>> steps;
      std::vector<Buffer> sources;
      for (int r = 0; r < ranks; ++r) {
        steps.push_back(gather_steps(test.map, r));
        sources.push_back(conformance::shard_of(whole, test.map, r));
      }
      const std::vector<Buffer> results(static_cast<size_t>(ranks),
                                        Buffer(whole.count(), DType::kFloat16));
      for (const Buffer& result : exchanged(steps, sources, results, 2)) {
        EXPECT_TRUE(result == whole) << test.name << " N = " << ranks;
      }
    }
  }
}

TEST(MessagePlan, RedistributesEveryMap) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (const conformance::BoxCase& test : conformance::box_cases(ranks)) {
      const Buffer whole =
          conformance::bit_patterns(conformance::product(test.shape), DType::kInt32, 2);
      std::vector<std::vector<CopyStep>> steps;
      std::vector<Buffer> sources;
      std::vector<Buffer> expected;
      std::vector<Buffer> results;
      for (int r = 0; r < ranks; ++r) {
        const auto i = static_cast<size_t>(r);
        steps.push_back(redistribute_steps(test.src, test.dst, r));
        sources.push_back(conformance::boxes_of(whole, test.shape, test.src.ranks[i]));
        expected.push_back(conformance::boxes_of(whole, test.shape, test.dst.ranks[i]));
        results.emplace_back(expected.back().count(), DType::kInt32);
      }
      results = exchanged(steps, sources, std::move(results), 4);
      for (size_t i = 0; i < results.size(); ++i) {
        EXPECT_TRUE(results[i] == expected[i]) << test.name << " N = " << ranks;
      }
    }
  }
}

// Each rank's own term, packed, unpacked again.
TEST(MessagePlan, ScattersEveryMap) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (const conformance::ShardCase& test : conformance::shard_cases(ranks)) {
      const Buffer whole = conformance::bit_patterns(test.map.elements(), DType::kInt8, 3);
      std::vector<std::vector<CopyStep>> steps;
      for (int r = 0; r < ranks; ++r) steps.push_back(scatter_steps(test.map, r));
      for (int r = 0; r < ranks; ++r) {
        const ScatterPlan plan = plan_scatter(steps, r, 1);
        Memory staging(static_cast<size_t>(plan.send_staging));
        run_table(plan.pack, whole.data(), staging.data());
        const Message& own = plan.sends[static_cast<size_t>(r)];
        EXPECT_EQ(own.bytes, plan.result.bytes);
        Buffer result(test.map.local_elements(r), DType::kInt8);
        const std::byte* term = place(own, whole, staging);
        if (plan.result.staged) {
          run_table(plan.unpack, term, result.data());
        } else if (own.bytes > 0) {
          std::memcpy(at(result, plan.result.offset), term, static_cast<size_t>(own.bytes));
        }
        EXPECT_TRUE(result == conformance::shard_of(whole, test.map, r)) << test.name;
      }
    }
  }
}

TEST(MessagePlan, SendsFromAndReceivesInPlaceWhatIsOneStretch) {
  const ShardMap map = even_shard_map(1, 6, 8, 3);
  std::vector<std::vector<CopyStep>> steps;
  for (int r = 0; r < 3; ++r) steps.push_back(gather_steps(map, r));
  const ExchangePlan plan = plan_exchange(steps, 1, 4);
  EXPECT_EQ(plan.send_staging + plan.receive_staging, 0);
  EXPECT_TRUE(plan.pack.entries.empty());
  EXPECT_TRUE(plan.unpack.entries.empty());
  EXPECT_EQ(plan.receives[2].offset, 2 * 2 * 8 * 4);
  EXPECT_EQ(plan.local.bytes, 2 * 8 * 4);
  EXPECT_EQ(plan.local.alignment, 16);
  EXPECT_EQ(plan.largest, 2 * 8 * 4);
}

// A table serves tensors of many dimensions: loops that do not fit become entries.
TEST(MessagePlan, UnrollsWhatHasTooManyLoops) {
  const std::vector<int64_t> shape = {3, 2, 3, 2, 3, 2};
  BoxMap src{{{shape, {{{0, 0, 0, 0, 0, 0}, shape, {0, 0, 0, 0, 0, 0}}}}}};
  const std::vector<int64_t> part = {2, 1, 2, 1, 2, 1};
  BoxMap dst{{{part, {{{1, 1, 1, 1, 1, 1}, part, {0, 0, 0, 0, 0, 0}}}}}};
  const std::vector<std::vector<CopyStep>> steps = {redistribute_steps(src, dst, 0)};
  const ExchangePlan plan = plan_exchange(steps, 0, 2);
  const Buffer whole = conformance::bit_patterns(conformance::product(shape), DType::kInt16, 4);
  Buffer result(8, DType::kInt16);
  run_table(plan.local, whole.data(), result.data());
  EXPECT_TRUE(result == conformance::boxes_of(whole, shape, dst.ranks[0]));
  EXPECT_EQ(plan.local.bytes, 16);
  EXPECT_EQ(plan.local.alignment, 2);
}

}  // namespace
}  // namespace cleave
