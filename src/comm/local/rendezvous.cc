#include "comm/local/rendezvous.h"

#include <cstring>
#include <optional>
#include <thread>

namespace cleave {

Rendezvous::Rendezvous(std::vector<int> ranks, std::shared_ptr<FailureState> failure,
                       WaitPolicy policy)
    : ranks_(std::move(ranks)),
      failure_(std::move(failure)),
      policy_(policy),
      slots_(ranks_.size()) {
  for (Slot& slot : slots_) {
    for (auto& copy : slot.copies) copy.reset(new std::byte[kCopiedBytes]);
  }
}

void Rendezvous::post(int rank, Posting posting, int64_t src_bytes) {
  Slot& own = slot(rank);
  const size_t parity = ++own.calls & 1;
  posting.direct = src_bytes > kCopiedBytes;
  if (!posting.direct) {
    std::byte* copy = own.copies[parity].get();
    if (src_bytes > 0) std::memcpy(copy, posting.src, static_cast<size_t>(src_bytes));
    posting.src = copy;
  }
  own.postings[parity] = posting;
  meet(rank);
  check_signatures(rank);
}

const Posting& Rendezvous::posting(int rank, int of) const {
  const size_t parity = slots_[static_cast<size_t>(rank)].calls & 1;
  return slots_[static_cast<size_t>(of)].postings[parity];
}

// All ranks compare the same postings, so all come to the same result.
void Rendezvous::check_signatures(int rank) {
  const Signature& first = posting(rank, 0).signature;
  for (int other = 1; other < size(); ++other) {
    const auto what =
        mismatch(outer_rank(other), posting(rank, other).signature, outer_rank(0), first);
    if (!what) continue;
    failure_->fail(outer_rank(other), mismatch_error(*what));
    throw Interrupted{};
  }
}

void Rendezvous::meet(int rank) {
  const uint32_t generation = generation_.load();
  if (generation & kFailed) throw Interrupted{};
  slot(rank).arrivals.fetch_add(1, std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size()) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.add(kMeeting);
    return;
  }
  wait_for_others(rank, generation);
}

void Rendezvous::wait_for_others(int rank, uint32_t generation) {
  const std::chrono::milliseconds limit = failure_->lateness_limit();
  while (true) {
    std::optional<WaitWord::Clock::time_point> deadline;
    if (limit.count() > 0) deadline = WaitWord::Clock::now() + limit;
    const uint32_t now = generation_.wait_while(generation, policy_, deadline);
    if (now & kFailed) throw Interrupted{};
    if (now != generation) return;
    fail_late(rank);
  }
}

// The late rank is one that has met less often than this one; none, if it came just now.
void Rendezvous::fail_late(int rank) {
  const uint64_t own = slot(rank).arrivals.load(std::memory_order_relaxed);
  for (int other = 0; other < size(); ++other) {
    if (slot(other).arrivals.load(std::memory_order_relaxed) >= own) continue;
    const auto limit = failure_->lateness_limit().count();
    failure_->fail(
        outer_rank(other),
        Error(ErrorCode::kDevice,
              "rank " + std::to_string(outer_rank(other)) + " is late: it has kept rank " +
                  std::to_string(outer_rank(rank)) + " waiting for " + std::to_string(limit) +
                  " ms in " + to_string(slot(rank).postings[slot(rank).calls & 1].signature),
              "raise the lateness limit if the device is merely slow"));
    throw Interrupted{};
  }
}

void Rendezvous::finish(int rank) {
  for (int other = 0; other < size(); ++other) {
    if (posting(rank, other).direct) return meet(rank);
  }
}

// Either a peer that starts to read sees the failure, or this rank sees that it reads: each writes
// first and looks afterwards, in one total order (Rendezvous::Reading, FailureState::fail).
void Rendezvous::leave_failed(int rank) {
  if (!failure_->failed()) return;
  for (int other = 0; other < size(); ++other) {
    if (other == rank) continue;
    while (slot(other).reading.load(std::memory_order_seq_cst)) std::this_thread::yield();
  }
}

Rendezvous::Reading::Reading(Rendezvous& rendezvous, int rank)
    : reading_(rendezvous.slot(rank).reading) {
  reading_.store(true, std::memory_order_seq_cst);
  if (!rendezvous.failure_->failed()) return;
  reading_.store(false, std::memory_order_release);
  throw Interrupted{};
}

Rendezvous::Reading::~Reading() { reading_.store(false, std::memory_order_release); }

std::shared_ptr<Rendezvous> Rendezvous::subgroup(int rank, int color,
                                                 const std::vector<int>& ranks) {
  std::shared_ptr<Rendezvous> group;
  {
    const std::lock_guard lock(pending_mutex_);
    const auto key = std::make_pair(slot(rank).calls, color);
    Pending& pending = pending_[key];
    if (!pending.group) {
      std::vector<int> outer;
      for (const int member : ranks) outer.push_back(outer_rank(member));
      pending.group = std::make_shared<Rendezvous>(std::move(outer), failure_, policy_);
    }
    group = pending.group;
    if (++pending.fetched == ranks.size()) pending_.erase(key);
  }
  // By each rank, so that none uses a group that a failure would not interrupt.
  failure_->add(group);
  return group;
}

void Rendezvous::interrupt() noexcept { generation_.set_bits(kFailed); }

void Rendezvous::reset() {
  for (Slot& slot : slots_) {
    slot.calls = 0;
    slot.arrivals.store(0, std::memory_order_relaxed);
  }
  arrived_.store(0, std::memory_order_relaxed);
  {
    const std::lock_guard lock(pending_mutex_);
    pending_.clear();
  }
  generation_.clear_bits(kFailed);
}

}  // namespace cleave
