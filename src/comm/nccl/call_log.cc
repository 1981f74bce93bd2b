#include "comm/nccl/call_log.h"

#include <chrono>
#include <utility>

namespace cleave::nccl {

CallLog::CallLog(std::vector<int> names) : names_(std::move(names)), ranks_(names_.size()) {}

std::optional<CallLog::Mismatch> CallLog::post(int rank, const PostedCall& posted) {
  const auto r = static_cast<size_t>(rank);
  const std::lock_guard lock(mutex_);
  const uint64_t number = ranks_[r].calls.load(std::memory_order_relaxed);
  if (number - first_open_ == open_.size()) {
    open_.push_back(std::make_shared<Call>());
    open_.back()->by_rank.resize(names_.size());
  }
  const std::shared_ptr<Call> call = open_[number - first_open_];
  call->by_rank[r] = posted;
  auto found = compare(*call, rank, posted);
  ranks_[r].last = call;
  ranks_[r].calls.store(number + 1, std::memory_order_relaxed);
  if (++call->posted == static_cast<int>(names_.size())) {
    // The first to be complete is the first that is open: ranks post in order.
    open_.pop_front();
    ++first_open_;
    if (posted.signature.operation == Operation::kSplit) complete_.notify_all();
  }
  return found;
}

std::optional<CallLog::Mismatch> CallLog::compare(const Call& call, int rank,
                                                  const PostedCall& posted) const {
  const int name = names_[static_cast<size_t>(rank)];
  for (int other = 0; other < static_cast<int>(names_.size()); ++other) {
    const auto& others = call.by_rank[static_cast<size_t>(other)];
    if (!others) continue;
    const int other_name = names_[static_cast<size_t>(other)];
    if (auto what = mismatch(name, posted.signature, other_name, others->signature)) {
      return Mismatch{rank, *what};
    }
    if (posted.signature.operation != Operation::kPermute) continue;
    if (auto what = mismatch(name, rank, posted.partners, other, others->partners)) {
      return Mismatch{rank, *what};
    }
    if (auto what = mismatch(other_name, other, others->partners, rank, posted.partners)) {
      return Mismatch{other, *what};
    }
  }
  return std::nullopt;
}

std::shared_ptr<const Call> CallLog::wait_for_all(int rank, const std::function<bool()>& stop) {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const Call> call = ranks_[static_cast<size_t>(rank)].last;
  const auto complete = [&] { return call->posted == static_cast<int>(names_.size()); };
  while (!complete_.wait_for(lock, std::chrono::milliseconds(1), complete)) {
    lock.unlock();  // `stop` may make the group fail
    const bool given_up = stop();
    lock.lock();
    if (given_up) return nullptr;
  }
  return call;
}

bool CallLog::is_even() {
  const std::lock_guard lock(mutex_);
  return open_.empty();
}

void CallLog::reset() {
  const std::lock_guard lock(mutex_);
  for (Rank& rank : ranks_) {
    rank.calls.store(0, std::memory_order_relaxed);
    rank.last.reset();
  }
  open_.clear();
  first_open_ = 0;
}

}  // namespace cleave::nccl
