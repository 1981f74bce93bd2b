#include "comm/failure_state.h"

#include <algorithm>
#include <thread>

namespace cleave {

FailureState::FailureState(int ranks)
    : in_call_(static_cast<size_t>(ranks)),
      error_(ErrorCode::kDevice, "the group has failed"),
      recovered_(static_cast<size_t>(ranks), false) {}

void FailureState::add(const std::shared_ptr<Interruptible>& group) {
  const std::lock_guard lock(mutex_);
  std::erase_if(groups_, [](const auto& known) { return known.expired(); });
  const auto same = [&](const auto& known) { return known.lock() == group; };
  if (std::none_of(groups_.begin(), groups_.end(), same)) groups_.push_back(group);
  if (failed_) group->interrupt();
}

template <class Call>
void FailureState::for_each_group(Call&& call) {
  for (const std::weak_ptr<Interruptible>& known : groups_) {
    if (const std::shared_ptr<Interruptible> group = known.lock()) call(*group);
  }
}

Error FailureState::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

void FailureState::fail(int rank, Error error) noexcept {
  const std::lock_guard lock(mutex_);
  recovered_[static_cast<size_t>(rank)] = false;
  if (failed_) return;
  std::fill(recovered_.begin(), recovered_.end(), false);
  error_ = std::move(error);
  failed_ = true;
  for_each_group([](Interruptible& group) { group.interrupt(); });
}

// Set first, looked at afterwards; `recover` does it the other way round (see there).
void FailureState::enter(int rank) {
  in_call_[static_cast<size_t>(rank)].value.store(true, std::memory_order_seq_cst);
  if (failed()) enter_failed(rank);
}

void FailureState::leave(int rank) {
  in_call_[static_cast<size_t>(rank)].value.store(false, std::memory_order_release);
}

void FailureState::enter_failed(int rank) {
  std::unique_lock lock(mutex_);
  const auto may_wait = [&] { return failed_ && recovered_[static_cast<size_t>(rank)]; };
  const auto over = [&] { return !may_wait(); };
  bool in_time = true;
  if (const auto limit = lateness_limit(); limit.count() > 0) {
    in_time = recovered_all_.wait_for(lock, limit, over);
  } else {
    recovered_all_.wait(lock, over);
  }
  if (!failed_) return;
  leave(rank);
  throw in_time ? error_ : not_recovered();
}

Error FailureState::not_recovered() const {
  const auto missing = std::find(recovered_.begin(), recovered_.end(), false);
  return Error(ErrorCode::kDevice,
               "rank " + std::to_string(missing - recovered_.begin()) +
                   " has not recovered from the last failure (" + error_.message() + ")",
               "every rank has to recover before the group works again");
}

// While the group is failed a rank's call ends soon: its waits are interrupted, and a new one
// throws at `enter`. So this loop ends, and afterwards no call of the rank uses what is reset
// below.
void FailureState::recover(int rank) {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (!failed_ || recovered_[static_cast<size_t>(rank)]) return;
      if (!in_call_[static_cast<size_t>(rank)].value.load(std::memory_order_seq_cst)) {
        recovered_[static_cast<size_t>(rank)] = true;
        if (std::find(recovered_.begin(), recovered_.end(), false) != recovered_.end()) return;
        try {
          for_each_group([](Interruptible& group) { group.reset(); });
        } catch (...) {
          recovered_[static_cast<size_t>(rank)] = false;  // it may be tried again
          throw;
        }
        failed_ = false;
        recovered_all_.notify_all();
        return;
      }
    }
    std::this_thread::yield();
  }
}

std::chrono::milliseconds FailureState::lateness_limit() const {
  return std::chrono::milliseconds(lateness_limit_ms_.load(std::memory_order_relaxed));
}

void FailureState::set_lateness_limit(std::chrono::milliseconds limit) {
  lateness_limit_ms_.store(limit.count(), std::memory_order_relaxed);
}

}  // namespace cleave
