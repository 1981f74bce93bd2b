// Collectives between threads, by ranks and size: BM_<operation>/<ranks>/<bytes>, the bytes those
// of the whole tensor. bytes_per_second is that size over the time of one call; BM_Memcpy, in which
// every rank copies as many bytes, is the roofline of what fills a whole tensor a rank.
#include <benchmark/benchmark.h>

#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "comm/local/local_group.h"
#include "tests/conformance/communicator_maps.h"

namespace cleave {
namespace {

// What a rank does in a round; made by the rank's own thread, which then owns its memory.
using Round = std::function<void()>;
using MakeRound = std::function<Round(Communicator& rank, int64_t bytes)>;

// Runs the same number of rounds on every rank, the clock being rank 0's.
void run_rounds(benchmark::State& state, const MakeRound& make_round) {
  const auto group = make_local_group(static_cast<int>(state.range(0)));
  const int64_t bytes = state.range(1);
  const auto rounds = state.max_iterations;
  std::vector<std::thread> threads;
  for (size_t rank = 1; rank < group.size(); ++rank) {
    threads.emplace_back([&, rank] {
      const Round round = make_round(*group[rank], bytes);
      group[rank]->barrier();
      for (benchmark::IterationCount i = 0; i < rounds; ++i) round();
    });
  }
  const Round round = make_round(*group[0], bytes);
  group[0]->barrier();
  for (auto _ : state) round();
  for (std::thread& thread : threads) thread.join();
  state.SetBytesProcessed(state.iterations() * bytes);
}

void BM_Memcpy(benchmark::State& state) {
  run_rounds(state, [](Communicator&, int64_t bytes) -> Round {
    const auto size = static_cast<size_t>(bytes);
    return [from = std::vector<char>(size), to = std::vector<char>(size)]() mutable {
      std::memcpy(to.data(), from.data(), from.size());
      benchmark::DoNotOptimize(to.data());
      benchmark::ClobberMemory();
    };
  });
}

void BM_Barrier(benchmark::State& state) {
  run_rounds(state,
             [](Communicator& rank, int64_t) -> Round { return [&rank] { rank.barrier(); }; });
}

template <class T>
Round all_reduce_round(Communicator& rank, int64_t bytes, DType type) {
  const auto count = bytes / static_cast<int64_t>(sizeof(T));
  return [&rank, type, data = std::vector<T>(static_cast<size_t>(count))]() mutable {
    rank.all_reduce(data.data(), data.data(), static_cast<int64_t>(data.size()), type,
                    ReduceOp::kSum);
  };
}

void BM_AllReduce(benchmark::State& state) {
  run_rounds(state, [](Communicator& rank, int64_t bytes) {
    return all_reduce_round<float>(rank, bytes, DType::kFloat32);
  });
}

void BM_AllReduceHalf(benchmark::State& state) {
  run_rounds(state, [](Communicator& rank, int64_t bytes) {
    return all_reduce_round<uint16_t>(rank, bytes, DType::kFloat16);
  });
}

// A whole tensor of `bytes` bytes in 16 rows that are cut.
struct CutRows {
  ShardMap map;
  std::vector<float> shard;
  std::vector<float> whole;
  CutRows(const Communicator& rank, int64_t bytes)
      : map(even_shard_map(16, bytes / 64, 1, rank.size())),
        shard(static_cast<size_t>(map.local_elements(rank.rank()))),
        whole(static_cast<size_t>(map.elements())) {}
};

void BM_AllGather(benchmark::State& state) {
  run_rounds(state, [](Communicator& rank, int64_t bytes) -> Round {
    return [&rank, rows = CutRows(rank, bytes)]() mutable {
      rank.all_gather(rows.shard.data(), rows.whole.data(), rows.map, DType::kFloat32);
    };
  });
}

void BM_ReduceScatter(benchmark::State& state) {
  run_rounds(state, [](Communicator& rank, int64_t bytes) -> Round {
    return [&rank, rows = CutRows(rank, bytes)]() mutable {
      rank.reduce_scatter(rows.whole.data(), rows.shard.data(), rows.map, DType::kFloat32,
                          ReduceOp::kSum);
    };
  });
}

// From shares of the rows to shares of the columns.
void BM_AllToAll(benchmark::State& state) {
  run_rounds(state, [](Communicator& rank, int64_t bytes) -> Round {
    const std::vector<int64_t> shape = {16, bytes / 64};
    const BoxMap rows = conformance::grid_boxes(shape, 0, 0, rank.size(), rank.size());
    const BoxMap columns = conformance::grid_boxes(shape, 1, 1, rank.size(), rank.size());
    const auto elements = static_cast<size_t>(bytes / 4 / rank.size());
    return [&rank, shape, rows, columns, from = std::vector<float>(elements),
            to = std::vector<float>(elements)]() mutable {
      rank.redistribute(from.data(), rows, to.data(), columns, shape, DType::kFloat32);
    };
  });
}

void BM_Broadcast(benchmark::State& state) {
  run_rounds(state, [](Communicator& rank, int64_t bytes) -> Round {
    return [&rank, data = std::vector<char>(static_cast<size_t>(bytes))]() mutable {
      rank.broadcast(data.data(), static_cast<int64_t>(data.size()), DType::kInt8, 0);
    };
  });
}

void by_ranks(benchmark::internal::Benchmark* bench) {
  for (const int64_t ranks : {2, 4, 8}) bench->Args({ranks, 0});
  bench->UseRealTime();
}

void by_ranks_and_size(benchmark::internal::Benchmark* bench) {
  for (const int64_t ranks : {2, 4, 8}) {
    for (const int64_t bytes : {4 << 10, 64 << 10, 1 << 20, 16 << 20}) bench->Args({ranks, bytes});
  }
  bench->UseRealTime();
}

BENCHMARK(BM_Barrier)->Apply(by_ranks);
BENCHMARK(BM_Memcpy)->Apply(by_ranks_and_size);
BENCHMARK(BM_AllReduce)->Apply(by_ranks_and_size);
BENCHMARK(BM_AllReduceHalf)->Apply(by_ranks_and_size);
BENCHMARK(BM_AllGather)->Apply(by_ranks_and_size);
BENCHMARK(BM_ReduceScatter)->Apply(by_ranks_and_size);
BENCHMARK(BM_AllToAll)->Apply(by_ranks_and_size);
BENCHMARK(BM_Broadcast)->Apply(by_ranks_and_size);

}  // namespace
}  // namespace cleave

BENCHMARK_MAIN();
