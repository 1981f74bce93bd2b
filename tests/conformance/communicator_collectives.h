// What every collective leaves in memory, against plain references.
#pragma once

#include <atomic>

#include "tests/conformance/communicator_cases.h"
#include "tests/conformance/communicator_fixture.h"

namespace cleave::conformance {

template <class Harness>
class CommunicatorCollectives : public CommunicatorTest<Harness> {};

TYPED_TEST_SUITE_P(CommunicatorCollectives);

TYPED_TEST_P(CommunicatorCollectives, KnowsRankAndSize) {
  for (const int size : TypeParam::sizes()) {
    const Group group = TypeParam::make_group(size);
    ASSERT_EQ(group.size(), static_cast<size_t>(size));
    for (int rank = 0; rank < size; ++rank) {
      EXPECT_EQ(group[static_cast<size_t>(rank)]->rank(), rank);
      EXPECT_EQ(group[static_cast<size_t>(rank)]->size(), size);
    }
  }
}

// Every type and operator against the plain reference, bit for bit: order of terms, rounding and
// overflow are fixed; in place and out of place; the same on every rank and every time.
TYPED_TEST_P(CommunicatorCollectives, AllReduceEqualsReference) {
  for (const int size : TypeParam::sizes()) {
    SCOPED_TRACE("N = " + std::to_string(size));
    std::vector<ReduceTest> tests;
    for (const DType type : kAllTypes) {
      for (const int64_t count : {0, 1, 5, 1000, 5003}) {
        for (const ReduceOp op : kAllOps) tests.push_back(reduce_test(size, count, type, op));
      }
    }
    for (const DType type : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
      tests.push_back(reduce_test(size, 100'003, type, ReduceOp::kSum));
    }
    this->expect_success(TypeParam::make_group(size), [&](Communicator& rank) {
      for (const ReduceTest& test : tests) {
        const Buffer& term = test.terms[static_cast<size_t>(rank.rank())];
        Buffer result(term.count(), term.type());
        rank.all_reduce(term.data(), result.data(), term.count(), term.type(), test.op);
        EXPECT_TRUE(result == test.expected) << test.name();
        for (int repeat = 0; repeat < 2; ++repeat) {
          Buffer in_place = term;
          rank.all_reduce(in_place.data(), in_place.data(), term.count(), term.type(), test.op);
          EXPECT_TRUE(in_place == test.expected) << test.name() << " in place";
        }
      }
    });
  }
}

TYPED_TEST_P(CommunicatorCollectives, MaxAndMinPassNaNsOn) {
  this->for_each_size([](Communicator& rank) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const ReduceOp op : {ReduceOp::kMax, ReduceOp::kMin}) {
      for (int owner = 0; owner < rank.size(); ++owner) {
        const float term[2] = {rank.rank() == owner ? nan : 1.0f, static_cast<float>(rank.rank())};
        float result[2];
        rank.all_reduce(term, result, 2, DType::kFloat32, op);
        EXPECT_TRUE(std::isnan(result[0]));
        EXPECT_EQ(result[1], op == ReduceOp::kMax ? static_cast<float>(rank.size() - 1) : 0.0f);
      }
    }
  });
}

TYPED_TEST_P(CommunicatorCollectives, AllGatherKeepsEveryBit) {
  for (const int size : TypeParam::sizes()) {
    SCOPED_TRACE("N = " + std::to_string(size));
    const std::vector<ShardCase> cases = shard_cases(size);
    std::vector<Buffer> wholes;
    for (const ShardCase& test : cases) {
      for (const DType type : kAllTypes) {
        // Large ones in one type are enough.
        if (test.map.elements() > 5000 && type != DType::kFloat16) continue;
        wholes.push_back(bit_patterns(test.map.elements(), type, 5));
      }
    }
    this->expect_success(TypeParam::make_group(size), [&](Communicator& rank) {
      size_t next = 0;
      for (const ShardCase& test : cases) {
        const int types = test.map.elements() > 5000 ? 1 : static_cast<int>(std::size(kAllTypes));
        for (int i = 0; i < types; ++i) {
          const Buffer& whole = wholes[next++];
          const Buffer shard = shard_of(whole, test.map, rank.rank());
          Buffer result(whole.count(), whole.type());
          rank.all_gather(shard.data(), result.data(), test.map, whole.type());
          EXPECT_TRUE(result == whole) << test.name << " " << name_of(whole.type());
        }
      }
    });
  }
}

TYPED_TEST_P(CommunicatorCollectives, AllGatherFromItsPlaceInTheWhole) {
  this->for_each_size([](Communicator& rank) {
    for (const int64_t inner : {3, 9001}) {
      const ShardMap map = even_shard_map(1, 2 * rank.size() + 1, inner, rank.size());
      const Buffer whole = bit_patterns(map.elements(), DType::kFloat16, 6);
      Buffer result(map.elements(), DType::kFloat16);
      const Piece& own = map.pieces[static_cast<size_t>(rank.rank())].front();
      for (int64_t i = 0; i < own.count; ++i) {
        result.set(own.global_offset + i, whole, own.global_offset + i);
      }
      rank.all_gather(result.at(own.global_offset), result.data(), map, DType::kFloat16);
      EXPECT_TRUE(result == whole);
    }
  });
}

// Copies that should be equal are not, here, to see whose is taken.
TYPED_TEST_P(CommunicatorCollectives, AllGatherPrefersItsOwnCopyThenTheLowestRanks) {
  this->for_each_size([](Communicator& rank) {
    for (const int64_t elements : {100, 10'000}) {
      const ShardMap map = overlapping(1, elements, elements, rank.size());  // all hold all
      const std::vector<int32_t> own(static_cast<size_t>(elements), rank.rank());
      std::vector<int32_t> result(own.size(), -1);
      rank.all_gather(own.data(), result.data(), map, DType::kInt32);
      EXPECT_EQ(result, own);

      ShardMap partly = map;  // the last rank holds nothing
      if (rank.size() > 1) partly.pieces.back().clear();
      rank.all_gather(own.data(), result.data(), partly, DType::kInt32);
      const int holder = rank.rank() == rank.size() - 1 ? 0 : rank.rank();
      EXPECT_EQ(result, std::vector<int32_t>(own.size(), holder));
    }
  });
}

TYPED_TEST_P(CommunicatorCollectives, ReduceScatterEqualsReference) {
  const std::pair<DType, ReduceOp> kinds[] = {{DType::kFloat64, ReduceOp::kSum},
                                              {DType::kBFloat16, ReduceOp::kSum},
                                              {DType::kFloat16, ReduceOp::kMax},
                                              {DType::kInt8, ReduceOp::kProd},
                                              {DType::kBool, ReduceOp::kMin}};
  for (const int size : TypeParam::sizes()) {
    SCOPED_TRACE("N = " + std::to_string(size));
    const std::vector<ShardCase> cases = shard_cases(size);
    std::vector<ReduceTest> tests;
    for (size_t i = 0; i < cases.size(); ++i) {
      const auto& [type, op] = kinds[i % std::size(kinds)];
      tests.push_back(reduce_test(size, cases[i].map.elements(), type, op));
      tests.push_back(reduce_test(size, cases[i].map.elements(), DType::kFloat32, ReduceOp::kSum));
    }
    this->expect_success(TypeParam::make_group(size), [&](Communicator& rank) {
      for (size_t i = 0; i < tests.size(); ++i) {
        const ShardMap& map = cases[i / 2].map;
        const Buffer& term = tests[i].terms[static_cast<size_t>(rank.rank())];
        const Buffer expected = shard_of(tests[i].expected, map, rank.rank());
        Buffer result(expected.count(), term.type());
        rank.reduce_scatter(term.data(), result.data(), map, term.type(), tests[i].op);
        EXPECT_TRUE(result == expected) << cases[i / 2].name << " " << tests[i].name();
      }
    });
  }
}

TYPED_TEST_P(CommunicatorCollectives, RedistributeEqualsReference) {
  this->for_each_size([](Communicator& rank) {
    for (const BoxCase& test : box_cases(rank.size())) {
      for (const DType type : {DType::kFloat32, DType::kUInt8, DType::kInt64}) {
        const auto own = static_cast<size_t>(rank.rank());
        const Buffer whole = bit_patterns(product(test.shape), type, 8);
        const Buffer src = boxes_of(whole, test.shape, test.src.ranks[own]);
        const Buffer expected = boxes_of(whole, test.shape, test.dst.ranks[own]);
        Buffer result(expected.count(), type);
        rank.redistribute(src.data(), test.src, result.data(), test.dst, test.shape, type);
        EXPECT_TRUE(result == expected) << test.name << " " << name_of(type);
      }
    }
  });
}

TYPED_TEST_P(CommunicatorCollectives, RedistributePrefersItsOwnCopyThenTheLowestRanks) {
  this->for_each_size([](Communicator& rank) {
    const std::vector<int64_t> shape = {6, 8};
    BoxMap src = replicated_boxes(shape, rank.size());
    if (rank.size() > 1) src.ranks.back() = {{0, 0}, {}};
    const std::vector<int32_t> own(48, rank.rank());
    std::vector<int32_t> result(48, -1);
    rank.redistribute(own.data(), src, result.data(), replicated_boxes(shape, rank.size()), shape,
                      DType::kInt32);
    const int holder = rank.rank() == rank.size() - 1 ? 0 : rank.rank();
    EXPECT_EQ(result, std::vector<int32_t>(48, holder));
  });
}

TYPED_TEST_P(CommunicatorCollectives, BroadcastFromEveryRoot) {
  this->for_each_size([](Communicator& rank) {
    for (int root = 0; root < rank.size(); ++root) {
      for (const int64_t count : {0, 1, 1000, 30'001}) {
        const Buffer sent = bit_patterns(count, DType::kFloat16, static_cast<uint64_t>(root));
        Buffer data = rank.rank() == root ? sent : Buffer(count, DType::kFloat16);
        rank.broadcast(data.data(), count, DType::kFloat16, root);
        EXPECT_TRUE(data == sent);
      }
    }
  });
}

TYPED_TEST_P(CommunicatorCollectives, PermuteRoundAndToNeighbours) {
  this->for_each_size([](Communicator& rank) {
    const int n = rank.size();
    for (const int64_t count : {1, 100, 20'000}) {
      // Round by any distance, itself included; each rank sends a length of its own.
      for (int distance = 0; distance < n; ++distance) {
        const int to = (rank.rank() + distance) % n;
        const int from = (rank.rank() + n - distance) % n;
        const auto seed = [](int r) { return static_cast<uint64_t>(r) + 31; };
        const Buffer sent = bit_patterns(count + rank.rank(), DType::kInt32, seed(rank.rank()));
        const Buffer expected = bit_patterns(count + from, DType::kInt32, seed(from));
        Buffer received(count + from, DType::kInt32);
        rank.permute(sent.data(), sent.count(), to, received.data(), received.count(), from,
                     DType::kInt32);
        EXPECT_TRUE(received == expected);
      }
      // Along a line, as a halo: the first receives nothing, the last sends nothing.
      const int to = rank.rank() + 1 < n ? rank.rank() + 1 : kNoRank;
      const int from = rank.rank() > 0 ? rank.rank() - 1 : kNoRank;
      const std::vector<int32_t> sent(static_cast<size_t>(count), rank.rank());
      std::vector<int32_t> received(sent.size(), -7);
      rank.permute(sent.data(), count, to, received.data(), count, from, DType::kInt32);
      EXPECT_THAT(received, testing::Each(from == kNoRank ? -7 : from));
    }
  });
}

TYPED_TEST_P(CommunicatorCollectives, BarrierSeparatesWhatIsBeforeFromWhatIsAfter) {
  for (const int size : TypeParam::sizes()) {
    const Group group = TypeParam::make_group(size);
    std::atomic<int> arrived{0};
    this->expect_success(group, [&](Communicator& rank) {
      for (int round = 1; round <= 20; ++round) {
        arrived.fetch_add(1);
        rank.barrier();
        EXPECT_GE(arrived.load(), round * size);
        rank.barrier();
      }
    });
  }
}

TYPED_TEST_P(CommunicatorCollectives, SubGroupsByColorAndKey) {
  this->for_each_size([this](Communicator& rank) {
    const int n = rank.size();
    // Even and odd ranks, in reverse order.
    const std::unique_ptr<Communicator> half = rank.split(rank.rank() % 2, n - rank.rank());
    ASSERT_NE(half, nullptr);
    const int members = rank.rank() % 2 == 0 ? (n + 1) / 2 : n / 2;
    EXPECT_EQ(half->size(), members);
    EXPECT_EQ(half->rank(), members - 1 - rank.rank() / 2);
    std::vector<int32_t> ranks(static_cast<size_t>(members), -1);
    const int32_t own = rank.rank();
    half->all_gather(&own, ranks.data(), even_shard_map(1, members, 1, members), DType::kInt32);
    for (int r = 0; r < members; ++r) {
      EXPECT_EQ(ranks[static_cast<size_t>(r)], (members - 1 - r) * 2 + rank.rank() % 2);
    }
    // A group within the group, in which not all take part.
    const std::unique_ptr<Communicator> inner = half->split(half->rank() == 0 ? -1 : 3, 0);
    EXPECT_EQ(inner == nullptr, half->rank() == 0);
    for (int round = 0; round < 5; ++round) {
      if (inner) this->expect_working(*inner);
      this->expect_working(*half);
      this->expect_working(rank);
    }
  });
}

// Calls of all kinds and sizes after each other: nothing of one leaks into the next.
TYPED_TEST_P(CommunicatorCollectives, MixedCallsInARow) {
  this->for_each_size([this](Communicator& rank) {
    std::mt19937_64 random(3);  // the same on every rank
    const std::vector<ShardCase> cases = shard_cases(rank.size());
    for (int round = 0; round < 60; ++round) {
      const int64_t count = static_cast<int64_t>(random() % 2 ? random() % 100 : random() % 9000);
      const ShardMap& map = cases[random() % cases.size()].map;
      switch (random() % 4) {
        case 0: {
          std::vector<int32_t> data(static_cast<size_t>(count), rank.rank() + round);
          rank.all_reduce(data.data(), data.data(), count, DType::kInt32, ReduceOp::kMax);
          EXPECT_THAT(data, testing::Each(rank.size() - 1 + round));
          break;
        }
        case 1: {
          const Buffer whole = numbers(map.elements(), DType::kInt32, random());
          const Buffer shard = shard_of(whole, map, rank.rank());
          Buffer result(map.elements(), DType::kInt32);
          rank.all_gather(shard.data(), result.data(), map, DType::kInt32);
          EXPECT_TRUE(result == whole);
          break;
        }
        case 2: {
          const int root = static_cast<int>(random() % static_cast<uint64_t>(rank.size()));
          std::vector<int32_t> data(static_cast<size_t>(count), rank.rank());
          rank.broadcast(data.data(), count, DType::kInt32, root);
          EXPECT_THAT(data, testing::Each(root));
          break;
        }
        default:
          this->expect_working(rank);
      }
    }
  });
}

REGISTER_TYPED_TEST_SUITE_P(CommunicatorCollectives, KnowsRankAndSize, AllReduceEqualsReference,
                            MaxAndMinPassNaNsOn, AllGatherKeepsEveryBit,
                            AllGatherFromItsPlaceInTheWhole,
                            AllGatherPrefersItsOwnCopyThenTheLowestRanks,
                            ReduceScatterEqualsReference, RedistributeEqualsReference,
                            RedistributePrefersItsOwnCopyThenTheLowestRanks, BroadcastFromEveryRoot,
                            PermuteRoundAndToNeighbours,
                            BarrierSeparatesWhatIsBeforeFromWhatIsAfter, SubGroupsByColorAndKey,
                            MixedCallsInARow);

}  // namespace cleave::conformance
