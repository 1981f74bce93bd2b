// Reductions: terms travel as they are and are combined by device code of our own, in the order of
// ranks. NCCL's own reduction serves where it comes to the same bits.
#include <algorithm>
#include <array>
#include <optional>

#include "comm/nccl/check.h"
#include "comm/nccl/nccl_communicator.h"
#include "comm/slice.h"

namespace cleave::nccl {
namespace {

// Up to this size every rank gets all terms and reduces them itself: one exchange instead of two.
constexpr int64_t kGatheredBytes = 64 << 10;

// Larger tensors are reduced piece by piece, which bounds the memory that terms are put aside in.
constexpr int64_t kPieceBytes = int64_t{64} << 20;

int64_t aligned(int64_t bytes) {
  return (bytes + kMessageAlignment - 1) / kMessageAlignment * kMessageAlignment;
}

std::optional<ncclDataType_t> nccl_type(DType type) {
  switch (type) {
    case DType::kFloat32:
      return ncclFloat32;
    case DType::kFloat16:
      return ncclFloat16;
    case DType::kBFloat16:
      return ncclBfloat16;
    case DType::kFloat64:
      return ncclFloat64;
    case DType::kInt8:
      return ncclInt8;
    case DType::kInt32:
      return ncclInt32;
    case DType::kInt64:
      return ncclInt64;
    case DType::kUInt8:
      return ncclUint8;
    case DType::kUInt32:
      return ncclUint32;
    case DType::kUInt64:
      return ncclUint64;
    default:
      return std::nullopt;
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  constexpr std::array<ncclRedOp_t, 4> kOps = {ncclSum, ncclMax, ncclMin, ncclProd};
  return kOps[static_cast<size_t>(op)];
}

// Whether the order in which NCCL combines terms, and the type in which it does, make no
// difference. Integers: never. Floats: where there are two terms, whose sum is the same either way
// round; in 16 bits too, because float32 has more than twice the digits, so that the sum of two is
// rounded to the same number with and without it (Figueroa 1995, When is double rounding
// innocuous?). Not max and min, where NaNs have to win.
bool same_by_nccl(DType type, ReduceOp op, int ranks) {
  if (!nccl_type(type)) return false;
  return is_integer(type) || (op == ReduceOp::kSum && ranks == 2);
}

}  // namespace

void NcclCommunicator::reduce(const void* src, void* dst, int64_t count, DType type, ReduceOp op,
                              const Launch& launch) {
  const auto element_size = static_cast<int64_t>(size_of(type));
  const Route route = group_->route_for(count * element_size);
  if (route == Route::kFlagged) {
    return flagged_all_reduce(group_->peers(rank_), src, dst, count, type, op, launch);
  }
  if (route == Route::kDirect) {
    return direct_all_reduce(group_->peers(rank_), src, dst, count, type, op, launch);
  }
  if (count * element_size <= kGatheredBytes) {
    return reduce_gathered(src, dst, count, type, op, launch);
  }
  if (same_by_nccl(type, op, size())) {
    group_->links()->with(rank_, [&](ncclComm_t communicator) {
      nccl_check(ncclAllReduce(src, dst, static_cast<size_t>(count), *nccl_type(type), nccl_op(op),
                               communicator, launch.stream),
                 "reducing");
    });
    return;
  }
  const int64_t piece = kPieceBytes / element_size;
  for (int64_t begin = 0; begin < count; begin += piece) {
    const int64_t offset = begin * element_size;
    reduce_slices(static_cast<const std::byte*>(src) + offset,
                  static_cast<std::byte*>(dst) + offset, std::min(piece, count - begin), type, op,
                  launch);
  }
}

void NcclCommunicator::reduce_gathered(const void* src, void* dst, int64_t count, DType type,
                                       ReduceOp op, const Launch& launch) {
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  std::byte* const received = staging_.get(size() * aligned(bytes));
  Terms terms;
  std::vector<Transfer> transfers;
  for (int peer = 0; peer < size(); ++peer) {
    std::byte* const term = received + peer * aligned(bytes);
    terms.at[terms.count++] = peer == rank_ ? src : term;
    if (peer != rank_) transfers.push_back(stretch(peer, src, bytes, term, bytes));
  }
  transfer_by_nccl(transfers, launch.stream);
  reduce_terms(terms, count, type, op, dst, launch);
}

// Each rank gets the terms of its slice, reduces them into its destination and sends the result to
// all. In place this is safe: what a rank has sent of its source has left it before it receives.
void NcclCommunicator::reduce_slices(const std::byte* src, std::byte* dst, int64_t count,
                                     DType type, ReduceOp op, const Launch& launch) {
  const auto element_size = static_cast<int64_t>(size_of(type));
  const auto begin = [&](int rank) { return slice_begin(count, rank, size()) * element_size; };
  const int64_t own = begin(rank_);
  const int64_t own_bytes = begin(rank_ + 1) - own;
  std::byte* const received = staging_.get(size() * aligned(own_bytes));
  Terms terms;
  std::vector<Transfer> scatter;
  std::vector<Transfer> gather;
  for (int peer = 0; peer < size(); ++peer) {
    std::byte* const term = received + peer * aligned(own_bytes);
    terms.at[terms.count++] = peer == rank_ ? src + own : term;
    if (peer == rank_) continue;
    const int64_t bytes = begin(peer + 1) - begin(peer);
    scatter.push_back(stretch(peer, src + begin(peer), bytes, term, own_bytes));
    gather.push_back(stretch(peer, dst + own, own_bytes, dst + begin(peer), bytes));
  }
  transfer_by_nccl(scatter, launch.stream);
  reduce_terms(terms, own_bytes / element_size, type, op, dst + own, launch);
  transfer_by_nccl(gather, launch.stream);
}

void NcclCommunicator::scatter(const PlacedScatter& placed, const void* src, void* dst, DType type,
                               ReduceOp op, const Launch& launch) {
  const ScatterPlan& plan = placed.plan;
  const int64_t slot = aligned(plan.result.bytes);
  std::byte* const sends = staging_.get(plan.send_staging + (size() + 1) * slot);
  std::byte* const received = sends + plan.send_staging;
  copy_runs(placed.pack.table, placed.pack.on_device, src, sends, launch);
  const auto message = [&](int rank) {
    const Message& out = plan.sends[static_cast<size_t>(rank)];
    return (out.staged ? sends : static_cast<const std::byte*>(src)) + out.offset;
  };
  std::byte* const spare = received + size() * slot;
  std::byte* const result =
      plan.result.staged ? spare : static_cast<std::byte*>(dst) + plan.result.offset;
  const int64_t count = plan.result.bytes / static_cast<int64_t>(size_of(type));
  const Route route = group_->route_for(plan.largest);
  if (size() > 1 && plan.largest > 0 && route != Route::kNccl) {
    PeerMessages messages;
    for (int peer = 0; peer < size(); ++peer) {
      const Message& out = plan.sends[static_cast<size_t>(peer)];
      PeerMessage& to = messages.of[peer];
      to.send = message(peer);
      to.send_bytes = out.bytes;
      to.send_rows = {out.run, out.src_stride};
    }
    const auto run = route == Route::kFlagged ? flagged_reduce_scatter : direct_reduce_scatter;
    run(group_->peers(rank_), messages, result, count, plan.largest, type, op, launch);
    copy_runs(placed.unpack.table, placed.unpack.on_device, spare, dst, launch);
    return;
  }
  Terms terms;
  std::vector<Transfer> transfers;
  for (int peer = 0; peer < size(); ++peer) {
    std::byte* const term = received + peer * slot;
    terms.at[terms.count++] = peer == rank_ ? message(peer) : term;
    const int64_t bytes = plan.sends[static_cast<size_t>(peer)].bytes;
    if (peer == rank_ || bytes + plan.result.bytes == 0) continue;
    transfers.push_back(stretch(peer, message(peer), bytes, term, plan.result.bytes));
  }
  transfer_by_nccl(transfers, launch.stream);
  reduce_terms(terms, count, type, op, result, launch);
  copy_runs(placed.unpack.table, placed.unpack.on_device, spare, dst, launch);
}

}  // namespace cleave::nccl
