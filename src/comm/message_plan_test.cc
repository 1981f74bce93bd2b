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

TakesRows rows(bool taken) {
  return [taken](int64_t) { return taken; };
}

// Row by row; one side may lie one row behind the other.
void copy_rows(const Message& message, const std::byte* from, int64_t src_stride, std::byte* to,
               int64_t dst_stride) {
  for (int64_t row = 0; row * message.run < message.bytes; ++row) {
    std::memcpy(to + row * dst_stride, from + row * src_stride, static_cast<size_t>(message.run));
  }
}

// Sends messages between ranks that are simulated one after the other.
std::vector<Buffer> exchanged(const std::vector<std::vector<CopyStep>>& steps,
                              const std::vector<Buffer>& sources, std::vector<Buffer> results,
                              int64_t element_size, bool in_rows) {
  const auto ranks = steps.size();
  std::vector<ExchangePlan> plans;
  std::vector<Memory> sent(ranks);
  for (size_t r = 0; r < ranks; ++r) {
    plans.push_back(plan_exchange(steps, static_cast<int>(r), element_size, rows(in_rows)));
    sent[r].resize(static_cast<size_t>(plans[r].send_staging));
    run_table(plans[r].pack, sources[r].data(), sent[r].data());
  }
  for (size_t r = 0; r < ranks; ++r) {
    Memory received(static_cast<size_t>(plans[r].receive_staging));
    for (size_t p = 0; p < ranks; ++p) {
      const Message& from = plans[p].sends[r];
      const Message& to = plans[r].receives[p];
      EXPECT_EQ(from.bytes, to.bytes);
      EXPECT_EQ(from.run, to.run);
      EXPECT_EQ(from.src_stride, to.src_stride);
      EXPECT_EQ(from.dst_stride, to.dst_stride);
      EXPECT_TRUE(in_rows || to.run == to.bytes);
      if (to.bytes == 0) continue;
      copy_rows(to, place(from, sources[p], sent[p]), to.src_stride,
                to.staged ? received.data() + to.offset : at(results[r], to.offset), to.dst_stride);
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
      for (const bool in_rows : {false, true}) {
        for (const Buffer& result : exchanged(steps, sources, results, 2, in_rows)) {
          EXPECT_TRUE(result == whole) << test.name << " N = " << ranks;
        }
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
      for (const bool in_rows : {false, true}) {
        const std::vector<Buffer> got = exchanged(steps, sources, results, 4, in_rows);
        for (size_t i = 0; i < got.size(); ++i) {
          EXPECT_TRUE(got[i] == expected[i]) << test.name << " N = " << ranks;
        }
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
      for (int i = 0; i < 2 * ranks; ++i) {
        const int r = i / 2;
        const ScatterPlan plan = plan_scatter(steps, r, 1, rows(i % 2 != 0));
        Memory staging(static_cast<size_t>(plan.send_staging));
        run_table(plan.pack, whole.data(), staging.data());
        const Message& own = plan.sends[static_cast<size_t>(r)];
        EXPECT_EQ(own.bytes, plan.result.bytes);
        Buffer result(test.map.local_elements(r), DType::kInt8);
        const std::byte* term = place(own, whole, staging);
        Memory dense(static_cast<size_t>(own.bytes));
        if (own.run < own.bytes) {
          copy_rows(own, term, own.src_stride, dense.data(), own.run);
          term = dense.data();
        }
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
  const ExchangePlan plan = plan_exchange(steps, 1, 4, rows(false));
  EXPECT_EQ(plan.send_staging + plan.receive_staging, 0);
  EXPECT_TRUE(plan.pack.entries.empty());
  EXPECT_TRUE(plan.unpack.entries.empty());
  EXPECT_EQ(plan.receives[2].offset, 2 * 2 * 8 * 4);
  EXPECT_EQ(plan.local.bytes, 2 * 8 * 4);
  EXPECT_EQ(plan.local.alignment, 16);
  EXPECT_EQ(plan.largest, 2 * 8 * 4);
}

// Columns of a matrix: rows that lie densely at their sender and apart at their receiver.
TEST(MessagePlan, LeavesRowsThatAreNotShortInTheTensors) {
  const ShardMap map = even_shard_map(5, 64, 1, 2);
  std::vector<std::vector<CopyStep>> steps;
  for (int r = 0; r < 2; ++r) steps.push_back(gather_steps(map, r));
  const ExchangePlan plan = plan_exchange(steps, 0, 4, rows(true));
  EXPECT_EQ(plan.send_staging + plan.receive_staging, 0);
  for (const Message& message : {plan.sends[1], plan.receives[1]}) {
    EXPECT_FALSE(message.staged);
    EXPECT_EQ(message.bytes, 5 * 128);
    EXPECT_EQ(message.run, 128);
    EXPECT_EQ(message.src_stride, 128);
    EXPECT_EQ(message.dst_stride, 256);
  }
  EXPECT_EQ(plan.receives[1].offset, 128);
  EXPECT_TRUE(plan_exchange(steps, 0, 4, rows(false)).receives[1].staged);
  // Rows of 32 bytes.
  EXPECT_TRUE(plan_exchange(steps, 0, 1, rows(true)).receives[1].staged);

  for (int r = 0; r < 2; ++r) steps[static_cast<size_t>(r)] = scatter_steps(map, r);
  const ScatterPlan scatter = plan_scatter(steps, 0, 4, rows(true));
  EXPECT_EQ(scatter.send_staging, 0);
  EXPECT_EQ(scatter.sends[1].offset, 128);
  EXPECT_EQ(scatter.sends[1].run, 128);
  EXPECT_EQ(scatter.sends[1].src_stride, 256);
}

// A table serves tensors of many dimensions: loops that do not fit become entries.
TEST(MessagePlan, UnrollsWhatHasTooManyLoops) {
  const std::vector<int64_t> shape = {3, 2, 3, 2, 3, 2};
  BoxMap src{{{shape, {{{0, 0, 0, 0, 0, 0}, shape, {0, 0, 0, 0, 0, 0}}}}}};
  const std::vector<int64_t> part = {2, 1, 2, 1, 2, 1};
  BoxMap dst{{{part, {{{1, 1, 1, 1, 1, 1}, part, {0, 0, 0, 0, 0, 0}}}}}};
  const std::vector<std::vector<CopyStep>> steps = {redistribute_steps(src, dst, 0)};
  const ExchangePlan plan = plan_exchange(steps, 0, 2, rows(true));
  const Buffer whole = conformance::bit_patterns(conformance::product(shape), DType::kInt16, 4);
  Buffer result(8, DType::kInt16);
  run_table(plan.local, whole.data(), result.data());
  EXPECT_TRUE(result == conformance::boxes_of(whole, shape, dst.ranks[0]));
  EXPECT_EQ(plan.local.bytes, 16);
  EXPECT_EQ(plan.local.alignment, 2);
}

}  // namespace
}  // namespace cleave
