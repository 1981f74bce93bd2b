#include "comm/nccl/nccl_communicator.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "comm/call.h"
#include "comm/guarded_call.h"
#include "comm/nccl/check.h"
#include "comm/step_cache.h"

namespace cleave::nccl {
namespace {

// Stands for the size of messages that only those know who send or receive them.
constexpr int64_t kUnknownBytes = int64_t{1} << 20;

int64_t element_size_of(DType type) { return static_cast<int64_t>(size_of(type)); }

cudaStream_t native(StreamHandle stream) { return static_cast<cudaStream_t>(stream.native); }

const std::byte* at(const void* base, int64_t offset) {
  return static_cast<const std::byte*>(base) + offset;
}
std::byte* at(void* base, int64_t offset) { return static_cast<std::byte*>(base) + offset; }

void copy_bytes(void* dst, const void* src, int64_t bytes, cudaStream_t stream) {
  if (bytes == 0 || dst == src) return;
  cuda_check(
      cudaMemcpyAsync(dst, src, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream),
      "copying within the device");
}

void run(const PlacedTable& placed, const void* src, void* dst, const Launch& launch) {
  copy_runs(placed.table, placed.on_device, src, dst, launch);
}

// Whether all that a table copies lies in its place already.
bool in_place(const CopyTable& table, const void* src, const void* dst) {
  return std::all_of(table.entries.begin(), table.entries.end(), [&](const CopyRuns& entry) {
    return at(src, entry.src) == at(dst, entry.dst) &&
           std::equal(entry.src_stride, entry.src_stride + CopyRuns::kLoops, entry.dst_stride);
  });
}

}  // namespace

NcclCommunicator::NcclCommunicator(std::shared_ptr<Group> group, int rank)
    : group_(std::move(group)), rank_(rank), plans_(rank, group_->size()) {
  cuda_check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount,
                                    group_->device(rank)),
             "asking for the device's properties");
  const DeviceGuard device(group_->device(rank));
  overlaps_ = code_overlaps();
}

NcclCommunicator::~NcclCommunicator() { group_->leave(rank_); }

template <class Body>
void NcclCommunicator::call(Body&& body) {
  guarded_call(
      *this, group_->failure(), outer_rank(), [&] { group_->leave_failed(rank_); },
      std::forward<Body>(body));
}

template <class Work>
void NcclCommunicator::enqueue(StreamHandle stream, Work&& work) {
  {
    const Group::Enqueuing enqueuing(*group_, rank_, native(stream));
    work(Launch{native(stream), multiprocessors_, overlaps_});
  }
  if (size() == 1 || is_recording(native(stream))) return;
  pace_.keep(native(stream), [&] { return group_->failure().failed(); });
}

void NcclCommunicator::transfer(std::span<const Transfer> transfers, Route route, int64_t largest,
                                const Launch& launch) {
  if (size() == 1) return;
  if (route == Route::kNccl) return transfer_by_nccl(transfers, launch.stream);
  PeerMessages messages;
  for (const Transfer& one : transfers) {
    const auto peer = static_cast<size_t>(one.peer);
    if (one.send_bytes > 0) {
      messages.send[peer] = one.send;
      messages.send_bytes[peer] = one.send_bytes;
    }
    if (one.receive_bytes > 0) {
      messages.receive[peer] = one.receive;
      messages.receive_bytes[peer] = one.receive_bytes;
    }
  }
  const PeerView& peers = group_->peers(rank_);
  if (route == Route::kFlagged) return flagged_exchange(peers, messages, largest, launch);
  direct_exchange(peers, messages, largest, launch);
}

void NcclCommunicator::transfer_by_nccl(std::span<const Transfer> transfers, cudaStream_t stream) {
  if (transfers.empty()) return;
  group_->links()->with(rank_, [&](ncclComm_t communicator) {
    nccl_check(ncclGroupStart(), "sending");
    ncclResult_t status = ncclSuccess;
    const auto note = [&](ncclResult_t result) {
      if (status == ncclSuccess) status = result;
    };
    for (const Transfer& one : transfers) {
      if (one.send_bytes > 0) {
        note(ncclSend(one.send, static_cast<size_t>(one.send_bytes), ncclUint8, one.peer,
                      communicator, stream));
      }
      if (one.receive_bytes > 0) {
        note(ncclRecv(one.receive, static_cast<size_t>(one.receive_bytes), ncclUint8, one.peer,
                      communicator, stream));
      }
    }
    note(ncclGroupEnd());
    nccl_check(status, "sending");
  });
}

void NcclCommunicator::exchange(const PlacedExchange& placed, const void* src, void* dst,
                                const Launch& launch) {
  const ExchangePlan& plan = placed.plan;
  std::byte* const sends = staging_.get(plan.send_staging + plan.receive_staging);
  std::byte* const receives = sends + plan.send_staging;
  run(placed.pack, src, sends, launch);
  const Route route = group_->route_for(plan.largest);
  const CopyTable& local = placed.local.table;
  std::vector<Transfer> transfers;
  if (!in_place(local, src, dst)) {
    // One run is a message of the rank to itself, which spares a kernel.
    const bool one_run = local.entries.size() == 1 && local.bytes == local.entries[0].run;
    if (one_run && plan.largest > 0 && route != Route::kNccl) {
      transfers.push_back({rank_, at(src, local.entries[0].src), local.bytes,
                           at(dst, local.entries[0].dst), local.bytes});
    } else {
      run(placed.local, src, dst, launch);
    }
  }
  for (int peer = 0; peer < size(); ++peer) {
    const Message& out = plan.sends[static_cast<size_t>(peer)];
    const Message& in = plan.receives[static_cast<size_t>(peer)];
    if (out.bytes + in.bytes == 0) continue;  // itself, too
    transfers.push_back({peer, at(out.staged ? sends : src, out.offset), out.bytes,
                         at(in.staged ? receives : dst, in.offset), in.bytes});
  }
  if (plan.largest > 0) transfer(transfers, route, plan.largest, launch);
  run(placed.unpack, receives, dst, launch);
}

void NcclCommunicator::all_gather(const void* src, void* dst, const ShardMap& map, DType type,
                                  StreamHandle stream) {
  call([&] {
    const uint64_t hash = hash_of(map);
    const PlacedExchange& placed = plans_.gather(map, hash, element_size_of(type));
    group_->post(
        rank_, {{Operation::kAllGather, type, ReduceOp::kSum, kNoRank, map.elements(), hash}, {}});
    enqueue(stream, [&](const Launch& launch) { exchange(placed, src, dst, launch); });
  });
}

void NcclCommunicator::redistribute(const void* src, const BoxMap& src_map, void* dst,
                                    const BoxMap& dst_map, std::span<const int64_t> shape,
                                    DType type, StreamHandle stream) {
  call([&] {
    uint64_t hash = hash_combine(hash_of(src_map), hash_of(dst_map));
    hash = hash_bytes(std::as_bytes(shape), hash);
    const PlacedExchange& placed =
        plans_.redistribute(src_map, dst_map, shape, hash, element_size_of(type));
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    group_->post(rank_,
                 {{Operation::kRedistribute, type, ReduceOp::kSum, kNoRank, count, hash}, {}});
    enqueue(stream, [&](const Launch& launch) { exchange(placed, src, dst, launch); });
  });
}

void NcclCommunicator::all_reduce(const void* src, void* dst, int64_t count, DType type,
                                  ReduceOp op, StreamHandle stream) {
  call([&] {
    const int64_t bytes = bytes_of(count, type);
    group_->post(rank_, {{Operation::kAllReduce, type, op, kNoRank, count, 0}, {}});
    if (count == 0) return;
    enqueue(stream, [&](const Launch& launch) {
      if (size() == 1) return copy_bytes(dst, src, bytes, launch.stream);
      reduce(src, dst, count, type, op, launch);
    });
  });
}

void NcclCommunicator::reduce_scatter(const void* src, void* dst, const ShardMap& map, DType type,
                                      ReduceOp op, StreamHandle stream) {
  call([&] {
    const uint64_t hash = hash_of(map);
    const PlacedScatter& placed = plans_.scatter(map, hash, element_size_of(type));
    group_->post(rank_, {{Operation::kReduceScatter, type, op, kNoRank, map.elements(), hash}, {}});
    enqueue(stream, [&](const Launch& launch) { scatter(placed, src, dst, type, op, launch); });
  });
}

void NcclCommunicator::broadcast(void* data, int64_t count, DType type, int root,
                                 StreamHandle stream) {
  call([&] {
    const int64_t bytes = bytes_of(count, type);
    check_root(root, size());
    group_->post(rank_, {{Operation::kBroadcast, type, ReduceOp::kSum, root, count, 0}, {}});
    if (bytes == 0 || size() == 1) return;
    enqueue(stream, [&](const Launch& launch) {
      const Route route = group_->route_for(bytes);
      if (route != Route::kNccl) {
        std::vector<Transfer> transfers;
        for (int peer = 0; peer < size(); ++peer) {
          if (root == rank_ && peer != rank_) transfers.push_back({peer, data, bytes, nullptr, 0});
        }
        if (root != rank_) transfers.push_back({root, nullptr, 0, data, bytes});
        return transfer(transfers, route, bytes, launch);
      }
      group_->links()->with(rank_, [&](ncclComm_t communicator) {
        nccl_check(ncclBroadcast(data, data, static_cast<size_t>(bytes), ncclUint8, root,
                                 communicator, launch.stream),
                   "broadcasting");
      });
    });
  });
}

void NcclCommunicator::permute(const void* src, int64_t send_count, int to, void* dst,
                               int64_t receive_count, int from, DType type, StreamHandle stream) {
  call([&] {
    check_partners(to, from, size());
    const int64_t send_bytes = to == kNoRank ? 0 : bytes_of(send_count, type);
    const int64_t receive_bytes = from == kNoRank ? 0 : bytes_of(receive_count, type);
    group_->post(rank_, {{Operation::kPermute, type}, {to, from, send_count, receive_count}});
    enqueue(stream, [&](const Launch& launch) {
      std::vector<Transfer> transfers;
      if (to == rank_) {
        // Who sends to itself receives from itself: else the calls do not match.
        copy_bytes(dst, src, receive_bytes, launch.stream);
      } else {
        if (send_bytes > 0) transfers.push_back({to, src, send_bytes, nullptr, 0});
        if (receive_bytes > 0) transfers.push_back({from, nullptr, 0, dst, receive_bytes});
      }
      transfer(transfers, group_->route_for_unknown(), kUnknownBytes, launch);
    });
  });
}

// Each rank gets a word of every other; what it says does not matter.
void NcclCommunicator::barrier(StreamHandle stream) {
  call([&] {
    group_->post(rank_, {{Operation::kBarrier}, {}});
    if (size() == 1) return;
    enqueue(stream, [&](const Launch& launch) {
      const Route route = group_->route_for(0);
      if (route != Route::kNccl) return transfer({}, route, 0, launch);
      std::byte* const words = staging_.get((size() + 1) * kMessageAlignment);
      std::vector<Transfer> transfers;
      for (int peer = 0; peer < size(); ++peer) {
        if (peer == rank_) continue;
        transfers.push_back({peer, words, 4, words + (peer + 1) * kMessageAlignment, 4});
      }
      transfer_by_nccl(transfers, launch.stream);
    });
  });
}

void NcclCommunicator::wait(StreamHandle stream) {
  call([&] { group_->wait(rank_, native(stream)); });
}

std::unique_ptr<Communicator> NcclCommunicator::split(int color, int key) {
  std::unique_ptr<Communicator> end;
  call([&] {
    group_->post(rank_, {{Operation::kSplit}, {color, key}});
    const std::shared_ptr<const Call> made = group_->wait_for_all(rank_);
    if (color < 0) return;
    const auto partners = [&](int peer) {
      return made->by_rank[static_cast<size_t>(peer)]->partners;
    };
    std::vector<int> members;
    for (int peer = 0; peer < size(); ++peer) {
      if (partners(peer).to == color) members.push_back(peer);
    }
    std::stable_sort(members.begin(), members.end(),
                     [&](int a, int b) { return partners(a).from < partners(b).from; });
    const auto place = std::find(members.begin(), members.end(), rank_);
    end = std::make_unique<NcclCommunicator>(group_->subgroup(rank_, color, members),
                                             static_cast<int>(place - members.begin()));
  });
  return end;
}

void NcclCommunicator::abort(const Error& why) noexcept {
  group_->failure().fail(outer_rank(), failure_of(outer_rank(), why));
}

void NcclCommunicator::recover() { group_->failure().recover(outer_rank()); }

void NcclCommunicator::set_lateness_limit(std::chrono::milliseconds limit) {
  group_->failure().set_lateness_limit(limit);
}

}  // namespace cleave::nccl
