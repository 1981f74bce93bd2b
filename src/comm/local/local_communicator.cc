#include "comm/local/local_communicator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/hash.h"
#include "comm/guarded_call.h"
#include "comm/reduce.h"
#include "comm/slice.h"

namespace cleave {
namespace {

int64_t element_size_of(DType type) { return static_cast<int64_t>(size_of(type)); }

void copy_bytes(void* dst, const void* src, int64_t bytes) {
  if (bytes > 0 && dst != src) std::memcpy(dst, src, static_cast<size_t>(bytes));
}

}  // namespace

LocalCommunicator::LocalCommunicator(std::shared_ptr<Rendezvous> rendezvous, int rank)
    : rendezvous_(std::move(rendezvous)),
      rank_(rank),
      cache_(rank, rendezvous_->size()),
      terms_(static_cast<size_t>(rendezvous_->size())) {}

template <class Body>
void LocalCommunicator::call(Body&& body) {
  guarded_call(
      *this, rendezvous_->failure(), outer_rank(), [&] { rendezvous_->leave_failed(rank_); },
      std::forward<Body>(body));
}

const void* const* LocalCommunicator::collect_terms() {
  for (int peer = 0; peer < size(); ++peer) {
    terms_[static_cast<size_t>(peer)] = rendezvous_->posting(rank_, peer).src;
  }
  return terms_.data();
}

void LocalCommunicator::all_reduce(const void* src, void* dst, int64_t count, DType type,
                                   ReduceOp op, StreamHandle) {
  call([&] {
    const int64_t element_size = element_size_of(type);
    const int64_t bytes = bytes_of(count, type);
    Posting posting{{Operation::kAllReduce, type, op, kNoRank, count, 0}, src, dst};
    rendezvous_->post(rank_, posting, bytes);
    if (rendezvous_->posting(rank_, rank_).direct) {
      reduce_slices(count, element_size, type, op);
    } else {
      reduce_function(type, op)(collect_terms(), size(), 0, count, dst);
    }
  });
}

// Each rank reduces its slice of all ranks' sources into its own destination, then copies the other
// slices from where they were reduced. In place this is safe: of a rank's source, the others read
// only their own slices, which are overwritten after all have met.
void LocalCommunicator::reduce_slices(int64_t count, int64_t element_size, DType type,
                                      ReduceOp op) {
  auto* dst = static_cast<std::byte*>(rendezvous_->posting(rank_, rank_).dst);
  {
    const Rendezvous::Reading reading(*rendezvous_, rank_);
    const int64_t begin = slice_begin(count, rank_, size());
    const int64_t end = slice_begin(count, rank_ + 1, size());
    reduce_function(type, op)(collect_terms(), size(), begin, end - begin,
                              dst + begin * element_size);
  }
  rendezvous_->meet(rank_);
  {
    const Rendezvous::Reading reading(*rendezvous_, rank_);
    for (int step = 1; step < size(); ++step) {
      const int peer = (rank_ + step) % size();
      const int64_t begin = slice_begin(count, peer, size()) * element_size;
      const int64_t end = slice_begin(count, peer + 1, size()) * element_size;
      const auto* from = static_cast<const std::byte*>(rendezvous_->posting(rank_, peer).dst);
      copy_bytes(dst + begin, from + begin, end - begin);
    }
  }
  rendezvous_->meet(rank_);
}

void LocalCommunicator::copy_steps(const std::vector<CopyStep>& steps, void* dst,
                                   int64_t element_size) {
  const Rendezvous::Reading reading(*rendezvous_, rank_);
  for (const CopyStep& step : steps) {
    run_copy(step, rendezvous_->posting(rank_, step.peer).src, dst, element_size);
  }
}

void LocalCommunicator::all_gather(const void* src, void* dst, const ShardMap& map, DType type,
                                   StreamHandle) {
  call([&] {
    const uint64_t hash = hash_of(map);
    const std::vector<CopyStep>& steps = cache_.gather(map, hash);
    const int64_t element_size = element_size_of(type);
    Posting posting{{Operation::kAllGather, type, ReduceOp::kSum, kNoRank, map.elements(), hash},
                    src};
    rendezvous_->post(rank_, posting, map.local_elements(rank_) * element_size);
    copy_steps(steps, dst, element_size);
    rendezvous_->finish(rank_);
  });
}

void LocalCommunicator::reduce_scatter(const void* src, void* dst, const ShardMap& map, DType type,
                                       ReduceOp op, StreamHandle) {
  call([&] {
    const uint64_t hash = hash_of(map);
    const std::vector<CopyStep>& steps = cache_.scatter(map, hash);
    const int64_t element_size = element_size_of(type);
    Posting posting{{Operation::kReduceScatter, type, op, kNoRank, map.elements(), hash}, src};
    rendezvous_->post(rank_, posting, map.elements() * element_size);
    {
      const Rendezvous::Reading reading(*rendezvous_, rank_);
      const void* const* terms = collect_terms();
      const ReduceFunction reduce = reduce_function(type, op);
      for (const CopyStep& step : steps) {
        for_each_run(step, [&](int64_t src_offset, int64_t dst_offset) {
          reduce(terms, size(), src_offset, step.run,
                 static_cast<std::byte*>(dst) + dst_offset * element_size);
        });
      }
    }
    rendezvous_->finish(rank_);
  });
}

void LocalCommunicator::redistribute(const void* src, const BoxMap& src_map, void* dst,
                                     const BoxMap& dst_map, std::span<const int64_t> shape,
                                     DType type, StreamHandle) {
  call([&] {
    uint64_t hash = hash_combine(hash_of(src_map), hash_of(dst_map));
    hash = hash_bytes(std::as_bytes(shape), hash);
    const std::vector<CopyStep>& steps = cache_.redistribute(src_map, dst_map, shape, hash);
    const int64_t element_size = element_size_of(type);
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    const LocalBoxes& own = src_map.ranks[static_cast<size_t>(rank_)];
    int64_t src_bytes = own.boxes.empty() ? 0 : element_size;
    for (const int64_t extent : own.shape) src_bytes *= extent;
    Posting posting{{Operation::kRedistribute, type, ReduceOp::kSum, kNoRank, count, hash}, src};
    rendezvous_->post(rank_, posting, src_bytes);
    copy_steps(steps, dst, element_size);
    rendezvous_->finish(rank_);
  });
}

void LocalCommunicator::broadcast(void* data, int64_t count, DType type, int root, StreamHandle) {
  call([&] {
    const int64_t bytes = bytes_of(count, type);
    check_root(root, size());
    Posting posting{{Operation::kBroadcast, type, ReduceOp::kSum, root, count, 0}, data};
    rendezvous_->post(rank_, posting, rank_ == root ? bytes : 0);
    if (rank_ != root) {
      const Rendezvous::Reading reading(*rendezvous_, rank_);
      copy_bytes(data, rendezvous_->posting(rank_, root).src, bytes);
    }
    rendezvous_->finish(rank_);
  });
}

void LocalCommunicator::permute(const void* src, int64_t send_count, int to, void* dst,
                                int64_t receive_count, int from, DType type, StreamHandle) {
  call([&] {
    cleave::check_partners(to, from, size());
    const int64_t send_bytes = to == kNoRank ? 0 : bytes_of(send_count, type);
    const int64_t receive_bytes = from == kNoRank ? 0 : bytes_of(receive_count, type);
    Posting posting{{Operation::kPermute, type}, src};
    posting.partners = {to, from, send_count, receive_count};
    rendezvous_->post(rank_, posting, send_bytes);
    match_partners();
    if (from != kNoRank) {
      const Rendezvous::Reading reading(*rendezvous_, rank_);
      copy_bytes(dst, rendezvous_->posting(rank_, from).src, receive_bytes);
    }
    rendezvous_->finish(rank_);
  });
}

// Every rank checks every pair, so that all come to the same result.
void LocalCommunicator::match_partners() {
  for (int rank = 0; rank < size(); ++rank) {
    for (int other = 0; other < size(); ++other) {
      const auto what =
          mismatch(rendezvous_->outer_rank(rank), rank, rendezvous_->posting(rank_, rank).partners,
                   other, rendezvous_->posting(rank_, other).partners);
      if (!what) continue;
      rendezvous_->failure().fail(rendezvous_->outer_rank(rank), mismatch_error(*what));
      throw Interrupted{};
    }
  }
}

void LocalCommunicator::barrier(StreamHandle) {
  call([&] { rendezvous_->post(rank_, Posting{{Operation::kBarrier}}, 0); });
}

std::unique_ptr<Communicator> LocalCommunicator::split(int color, int key) {
  std::unique_ptr<Communicator> end;
  call([&] {
    Posting posting{{Operation::kSplit}};
    posting.partners.to = color;
    posting.partners.from = key;
    rendezvous_->post(rank_, posting, 0);
    if (color < 0) return;
    std::vector<int> members;
    for (int peer = 0; peer < size(); ++peer) {
      if (rendezvous_->posting(rank_, peer).partners.to == color) members.push_back(peer);
    }
    std::stable_sort(members.begin(), members.end(), [&](int a, int b) {
      return rendezvous_->posting(rank_, a).partners.from <
             rendezvous_->posting(rank_, b).partners.from;
    });
    const auto place = std::find(members.begin(), members.end(), rank_);
    end = std::make_unique<LocalCommunicator>(rendezvous_->subgroup(rank_, color, members),
                                              static_cast<int>(place - members.begin()));
  });
  return end;
}

void LocalCommunicator::abort(const Error& why) noexcept {
  rendezvous_->failure().fail(outer_rank(), failure_of(outer_rank(), why));
}

void LocalCommunicator::recover() { rendezvous_->failure().recover(outer_rank()); }

void LocalCommunicator::set_lateness_limit(std::chrono::milliseconds limit) {
  rendezvous_->failure().set_lateness_limit(limit);
}

}  // namespace cleave
