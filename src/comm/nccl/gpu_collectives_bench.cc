// Times of collectives between GPUs, by size of the whole tensor and route, in microseconds:
//
//   bench_gpu_collectives [RANKS]
//
// An all_reduce, and an all_gather of a matrix whose columns are split. bfloat16, many in one CUDA
// graph, as a program's run has them; the median of replays on the rank that takes longest. `ours`
// is what a group does by default, `flagged` and `direct` are two of its ways for all sizes, `nccl`
// is ncclAllReduce or ncclAllGather; the latter leaves the shards one behind the other, not as
// columns. Every other result is checked; the exit code says so.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/half.h"
#include "comm/nccl/check.h"
#include "comm/nccl/links.h"
#include "comm/nccl/memory.h"
#include "comm/nccl/nccl_group.h"

namespace cleave::nccl {
namespace {

constexpr int kReplays = 30;

// Puts one collective of a rank on the stream; `count` elements are the whole tensor's.
using Call =
    std::function<void(int rank, const void* src, void* dst, int64_t count, cudaStream_t stream)>;

struct Collective {
  Call call;
  // Whether a result is right; null where that is not looked at.
  bool (*is_right)(const std::vector<BFloat16>& values, int ranks) = nullptr;
};

constexpr int64_t kColumns = 2048;  // of the matrix that is gathered

std::vector<BFloat16> on_host(const DeviceMemory& memory, int64_t count, cudaStream_t stream) {
  std::vector<BFloat16> values(static_cast<size_t>(count));
  cuda_check(cudaMemcpyAsync(values.data(), memory.data(), values.size() * 2,
                             cudaMemcpyDeviceToHost, stream),
             "reading");
  cuda_check(cudaStreamSynchronize(stream), "reading");
  return values;
}

// A term of rank r is (i % 8) + r, so that sums are exact.
DeviceMemory term_of(int rank, int64_t count, cudaStream_t stream) {
  std::vector<BFloat16> values;
  for (int64_t i = 0; i < count; ++i) values.emplace_back(static_cast<float>(i % 8 + rank));
  DeviceMemory memory(count * 2);
  cuda_check(cudaMemcpyAsync(memory.data(), values.data(), values.size() * 2,
                             cudaMemcpyHostToDevice, stream),
             "writing");
  cuda_check(cudaStreamSynchronize(stream), "writing");
  return memory;
}

bool is_sum(const std::vector<BFloat16>& values, int ranks) {
  for (size_t i = 0; i < values.size(); ++i) {
    const auto expected =
        static_cast<float>(ranks * static_cast<int>(i % 8) + ranks * (ranks - 1) / 2);
    if (static_cast<float>(values[i]) != expected) return false;
  }
  return true;
}

ShardMap columns_of(int64_t count, int ranks) {
  return even_shard_map(count / kColumns, kColumns, 1, ranks);
}

// A rank has its columns as a dense matrix: the beginning of its term.
bool is_gathered(const std::vector<BFloat16>& values, int ranks) {
  const ShardMap map = columns_of(static_cast<int64_t>(values.size()), ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    const Piece& piece = map.pieces[static_cast<size_t>(rank)].at(0);
    for (int64_t i = 0; i < map.rows * piece.count; ++i) {
      const int64_t at = i / piece.count * kColumns + piece.global_offset + i % piece.count;
      const auto expected = static_cast<float>(i % 8 + rank);
      if (static_cast<float>(values[static_cast<size_t>(at)]) != expected) return false;
    }
  }
  return true;
}

struct Result {
  double us = 0;
  bool right = true;
};

// The median time of one of `calls` calls in a graph; by the rank's thread.
Result measure(int rank, int ranks, int64_t count, int calls, const Collective& collective) {
  cuda_check(cudaSetDevice(rank), "choosing the device");
  const PrivateStream stream;
  const DeviceMemory src = term_of(rank, count, stream.get());
  const DeviceMemory dst(count * 2);
  const auto work = [&] { collective.call(rank, src.data(), dst.data(), count, stream.get()); };
  work();
  cuda_check(cudaStreamSynchronize(stream.get()), "running");
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cuda_check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "recording");
  for (int call = 0; call < calls; ++call) work();
  cuda_check(cudaStreamEndCapture(stream.get(), &graph), "recording");
  cuda_check(cudaGraphInstantiate(&executable, graph, 0), "recording");
  cudaGraphDestroy(graph);
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  cuda_check(cudaEventCreate(&begin), "making an event");
  cuda_check(cudaEventCreate(&end), "making an event");
  std::vector<double> times;
  for (int replay = 0; replay < kReplays + 3; ++replay) {
    work();  // the ranks meet
    cuda_check(cudaEventRecord(begin, stream.get()), "timing");
    cuda_check(cudaGraphLaunch(executable, stream.get()), "replaying");
    cuda_check(cudaEventRecord(end, stream.get()), "timing");
    cuda_check(cudaEventSynchronize(end), "timing");
    float ms = 0;
    cuda_check(cudaEventElapsedTime(&ms, begin, end), "timing");
    if (replay >= 3) times.push_back(double{ms} * 1000 / calls);
  }
  std::nth_element(times.begin(), times.begin() + kReplays / 2, times.end());
  const bool right = collective.is_right == nullptr ||
                     collective.is_right(on_host(dst, count, stream.get()), ranks);
  cudaGraphExecDestroy(executable);
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return {times[kReplays / 2], right};
}

Result on_all_ranks(int ranks, int64_t bytes, const Collective& collective) {
  const int calls = bytes <= (1 << 20) ? 100 : bytes <= (16 << 20) ? 20 : 5;
  std::vector<Result> results(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        results[static_cast<size_t>(rank)] = measure(rank, ranks, bytes / 2, calls, collective);
      } catch (const Error& error) {
        std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
        std::exit(1);  // the others wait for this one
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Result all;
  for (const Result& one : results) {
    all.us = std::max(all.us, one.us);
    all.right = all.right && one.right;
  }
  return all;
}

using Group = std::vector<std::unique_ptr<Communicator>>;

Group group_of(int ranks, int64_t flagged_bytes, int64_t direct_bytes) {
  NcclGroupOptions options;
  for (int rank = 0; rank < ranks; ++rank) options.devices.push_back(rank);
  if (flagged_bytes >= 0) options.flagged_bytes = flagged_bytes;
  if (direct_bytes >= 0) options.direct_bytes = direct_bytes;
  return make_nccl_group(options);
}

Collective all_reduce(const Group& group) {
  return {[&](int rank, const void* src, void* dst, int64_t count, cudaStream_t stream) {
            group[static_cast<size_t>(rank)]->all_reduce(src, dst, count, DType::kBFloat16,
                                                         ReduceOp::kSum, {stream});
          },
          is_sum};
}

Collective all_gather(const Group& group) {
  const auto ranks = static_cast<int>(group.size());
  return {
      [&group, ranks](int rank, const void* src, void* dst, int64_t count, cudaStream_t stream) {
        const ShardMap map = columns_of(count, ranks);
        group[static_cast<size_t>(rank)]->all_gather(src, dst, map, DType::kBFloat16, {stream});
      },
      is_gathered};
}

Collective all_reduce_by_nccl(Links& links) {
  return {[&](int rank, const void* src, void* dst, int64_t count, cudaStream_t stream) {
            links.with(rank, [&](ncclComm_t communicator) {
              nccl_check(ncclAllReduce(src, dst, static_cast<size_t>(count), ncclBfloat16, ncclSum,
                                       communicator, stream),
                         "reducing");
            });
          },
          is_sum};
}

Collective all_gather_by_nccl(Links& links, int ranks) {
  return {
      [&links, ranks](int rank, const void* src, void* dst, int64_t count, cudaStream_t stream) {
        links.with(rank, [&](ncclComm_t communicator) {
          nccl_check(ncclAllGather(src, dst, static_cast<size_t>(count / ranks), ncclBfloat16,
                                   communicator, stream),
                     "gathering");
        });
      }};
}

// A table; whether all results were right.
bool show(const char* name, int ranks, Collective (*ours)(const Group&), const Collective& nccl) {
  constexpr int64_t kMiB = 1 << 20;
  constexpr int64_t kAny = int64_t{1} << 40;
  bool right = true;
  const auto time = [&](const Collective& collective, int64_t bytes) {
    const Result result = on_all_ranks(ranks, bytes, collective);
    right = right && result.right;
    std::printf(result.right ? " %10.2f" : " %8.2f !", result.us);
    std::fflush(stdout);
  };
  std::printf("%s of bfloat16 between %d GPUs, us\n%10s %10s %10s %10s %10s\n", name, ranks,
              "bytes", "ours", "flagged", "direct", "nccl");
  for (int64_t bytes = 8 << 10; bytes <= 256 * kMiB; bytes *= 2) {
    std::printf("%10lld", static_cast<long long>(bytes));
    const auto time_ours = [&](int64_t flagged_bytes, int64_t direct_bytes) {
      const Group group = group_of(ranks, flagged_bytes, direct_bytes);
      time(ours(group), bytes);
    };
    time_ours(-1, -1);
    if (bytes <= 8 * kMiB) {
      time_ours(bytes * ranks, kAny);
    } else {
      std::printf(" %10s", "-");
    }
    time_ours(0, kAny);
    time(nccl, bytes);
    std::printf("\n");
  }
  return right;
}

int run(int ranks) {
  std::vector<int> devices;
  for (int rank = 0; rank < ranks; ++rank) devices.push_back(rank);
  Links links(devices);
  bool right = show("all_reduce", ranks, all_reduce, all_reduce_by_nccl(links));
  right = show("all_gather", ranks, all_gather, all_gather_by_nccl(links, ranks)) && right;
  return right ? 0 : 1;
}

}  // namespace
}  // namespace cleave::nccl

int main(int argc, char** argv) {
  int gpus = 0;
  if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus < 2) {
    std::printf("this machine has not two GPUs\n");
    return 0;
  }
  return cleave::nccl::run(argc > 1 ? std::clamp(std::atoi(argv[1]), 2, gpus) : gpus);
}
