#include "comm/nccl/nccl_communicator.h"

#include <algorithm>
#include <limits>
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

// Whether a table is one message in rows.
bool lies_in_rows(const CopyTable& table) {
  if (table.entries.size() != 1) return false;
  const CopyRuns& entry = table.entries[0];
  const int64_t rows = entry.count[CopyRuns::kLoops - 1];
  return entry.run * rows == table.bytes &&
         (rows == 1 || table.bytes <= std::numeric_limits<int32_t>::max());
}

}  // namespace

NcclCommunicator::NcclCommunicator(std::shared_ptr<Group> group, int rank)
    : group_(std::move(group)), rank_(rank), plans_(rank, group_->size(), [this](int64_t largest) {
        return group_->route_for(largest) != Route::kNccl;
      }) {
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
    // Permuting, a rank may send to one peer and receive from it in two transfers.
    PeerMessage& message = messages.of[one.peer];
    if (one.message.send_bytes > 0) {
      message.send = one.message.send;
      message.send_bytes = one.message.send_bytes;
      message.send_rows = one.message.send_rows;
    }
    if (one.message.receive_bytes > 0) {
      message.receive = one.message.receive;
      message.receive_bytes = one.message.receive_bytes;
      message.receive_rows = one.message.receive_rows;
      message.source_stride = one.message.source_stride;
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
    for (const auto& [peer, message] : transfers) {
      if (message.send_bytes > 0) {
        note(ncclSend(message.send, static_cast<size_t>(message.send_bytes), ncclUint8, peer,
                      communicator, stream));
      }
      if (message.receive_bytes > 0) {
        note(ncclRecv(message.receive, static_cast<size_t>(message.receive_bytes), ncclUint8, peer,
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
    // Rows are a message of the rank to itself, which spares a kernel.
    if (lies_in_rows(local) && plan.largest > 0 && route != Route::kNccl) {
      const CopyRuns& rows = local.entries[0];
      transfers.push_back({rank_,
                           {.send = at(src, rows.src),
                            .send_bytes = local.bytes,
                            .send_rows = {rows.run, rows.src_stride[CopyRuns::kLoops - 1]},
                            .receive = at(dst, rows.dst),
                            .receive_bytes = local.bytes,
                            .receive_rows = {rows.run, rows.dst_stride[CopyRuns::kLoops - 1]}}});
    } else {
      run(placed.local, src, dst, launch);
    }
  }
  for (int peer = 0; peer < size(); ++peer) {
    const Message& out = plan.sends[static_cast<size_t>(peer)];
    const Message& in = plan.receives[static_cast<size_t>(peer)];
    if (out.bytes + in.bytes == 0) continue;  // itself, too
    transfers.push_back({peer,
                         {.send = at(out.staged ? sends : src, out.offset),
                          .send_bytes = out.bytes,
                          .send_rows = {out.run, out.src_stride},
                          .receive = at(in.staged ? receives : dst, in.offset),
                          .receive_bytes = in.bytes,
                          .receive_rows = {in.run, in.dst_stride},
                          .source_stride = in.src_stride}});
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
          if (root == rank_ && peer != rank_)
            transfers.push_back(stretch(peer, data, bytes, nullptr, 0));
        }
        if (root != rank_) transfers.push_back(stretch(root, nullptr, 0, data, bytes));
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
        if (send_bytes > 0) transfers.push_back(stretch(to, src, send_bytes, nullptr, 0));
        if (receive_bytes > 0) transfers.push_back(stretch(from, nullptr, 0, dst, receive_bytes));
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
        transfers.push_back(stretch(peer, words, 4, words + (peer + 1) * kMessageAlignment, 4));
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
