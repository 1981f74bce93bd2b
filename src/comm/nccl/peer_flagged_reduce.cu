// An all_reduce in which every rank pushes its term to all others in flagged words.
#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/check.h"
#include "comm/nccl/peer_payload.cuh"

namespace cleave::nccl {
namespace {

// Every rank sends its term to all and reduces all terms; a thread has a word at a time. `kRanks`
// is at least view.ranks.
template <class T, int kRanks>
__global__ void __launch_bounds__(kFlaggedThreads)
    flagged_kernel(const __grid_constant__ PeerView view, const std::byte* src, std::byte* dst,
                   int64_t bytes, int64_t words, ReduceOp op, bool src_aligned, bool dst_aligned) {
  using P = Pack<T, kPayloadBytes<T> / sizeof(T)>;
  const int64_t step = int64_t{gridDim.x} * kFlaggedThreads;
  const int64_t first = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x;
  const MessageRows whole{bytes, 0};
  const auto source = [&](int64_t i) {
    return PayloadPlace<T, const std::byte>(src, whole, i, bytes, src_aligned);
  };
  const EpochCount count(view);
  auto place = source(first);
  place.work_out();
  await_stream();
  Payload own = place.begin_load();
  const uint32_t epoch = count.next();
  const auto send = [&](int64_t i) {
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r >= view.ranks || r == view.rank) continue;
      FlaggedWord{own, epoch}.store(slot(view, r, view.rank, epoch) + i * 16);
    }
  };
  if (first < words) {
    place.end_load(own);
    send(first);
  }
  count.advance(epoch);
  for (int64_t i = first; i < words; i += step) {
    if (i != first) {
      own = source(i).load();
      send(i);
    }
    const auto received = [&](int r) { return slot(view, view.rank, r, epoch) + i * 16; };
    FlaggedWord terms[kRanks];
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r < view.ranks && r != view.rank) terms[r] = FlaggedWord::load(received(r));
    }
    Sum<T, kPayloadBytes<T> / sizeof(T)> sum;
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r >= view.ranks) continue;
      const P term = elements_of<P>(
          r == view.rank ? own : wait_for(view, received(r), epoch, terms[r]).payload);
      if (r == 0) {
        sum.start(term);
      } else {
        sum.add(op, term);
      }
    }
    PayloadPlace<T, std::byte>(dst, whole, i, bytes, dst_aligned).store(payload_of(sum.rounded()));
  }
}

}  // namespace

void load_flagged_reduce() {
  for_each_device_type([]<class T>(T, ReduceOp) {
    load_kernel(flagged_kernel<T, 2>);
    load_kernel(flagged_kernel<T, kMostPeers>);
  });
}

void flagged_all_reduce(const PeerView& view, const void* src, void* dst, int64_t count, DType type,
                        ReduceOp op, const Launch& launch) {
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    const int64_t words = words_of<T>(bytes);
    with_most_ranks(view.ranks, [&](auto ranks) {
      start_kernel(flagged_kernel<T, ranks()>, flagged_grid(words), launch,
                   "starting an all_reduce", view, static_cast<const std::byte*>(src),
                   static_cast<std::byte*>(dst), bytes, words, device_op, aligned_to_words(src),
                   aligned_to_words(dst));
    });
  });
}

}  // namespace cleave::nccl
