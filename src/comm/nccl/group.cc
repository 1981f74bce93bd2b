#include "comm/nccl/group.h"

#include <string>
#include <thread>

#include "comm/nccl/check.h"
#include "comm/nccl/stream_wait.h"

namespace cleave::nccl {
namespace {

using Clock = std::chrono::steady_clock;

// All ranks of a failed group return within 5 s; kernels that were told to end do so in less.
constexpr auto kDrainLimit = std::chrono::seconds(4);
constexpr auto kDrainPause = std::chrono::microseconds(50);

// How often a waiting rank asks NCCL for what has gone wrong.
constexpr auto kLinkCheck = std::chrono::milliseconds(10);

// Whether nothing that the rank has put on its stream can reach others' memory. A stream that is
// being recorded does nothing.
bool idle(const RankState& rank) {
  if (rank.enqueuing.load(std::memory_order_seq_cst)) return false;
  if (!rank.used.load(std::memory_order_relaxed)) return true;
  const cudaStream_t stream = rank.stream.load(std::memory_order_relaxed);
  return is_recording(stream) || cudaStreamQuery(stream) != cudaErrorNotReady;
}

}  // namespace

Group::Group(std::vector<int> devices, std::vector<int> ranks,
             std::shared_ptr<FailureState> failure, std::shared_ptr<std::deque<RankState>> states,
             RouteOptions routes)
    : devices_(std::move(devices)),
      ranks_(std::move(ranks)),
      failure_(std::move(failure)),
      states_(std::move(states)),
      routes_(std::move(routes)),
      log_(ranks_),
      peers_(routes_.direct_bytes > 0 ? devices_ : std::vector<int>(), routes_.flagged_bytes,
             routes_.can_reach, routes_.store),
      links_(std::make_shared<Links>(devices_)) {}

// Ranks that have made as many calls are in the same epoch.
Group::~Group() {
  if (left_busy_.load() || failure_->failed() || !log_.is_even()) return;
  peers_.leave();
}

void Group::post(int rank, const PostedCall& call) {
  const auto mismatch = log_.post(rank, call);
  if (!mismatch) return;
  failure_->fail(outer_rank(mismatch->rank), mismatch_error(mismatch->what));
  throw Interrupted{};
}

std::shared_ptr<const Call> Group::wait_for_all(int rank) {
  const Clock::time_point start = Clock::now();
  const auto stop = [&] {
    const auto limit = failure_->lateness_limit();
    if (limit.count() > 0 && Clock::now() - start > limit) fail_late(rank);
    return failure_->failed();
  };
  const auto call = log_.wait_for_all(rank, stop);
  if (!call) throw Interrupted{};
  return call;
}

// Either a rank that leaves because of a failure sees that this one puts work on its stream, or
// this one sees the failure: each writes first and looks afterwards, in one total order.
Group::Enqueuing::Enqueuing(Group& group, int rank, cudaStream_t stream)
    : enqueuing_(group.state(rank).enqueuing) {
  group.state(rank).stream.store(stream, std::memory_order_relaxed);
  group.state(rank).used.store(true, std::memory_order_relaxed);
  enqueuing_.store(true, std::memory_order_seq_cst);
  if (!group.failure_->failed()) return;
  enqueuing_.store(false, std::memory_order_release);
  throw Interrupted{};
}

Group::Enqueuing::~Enqueuing() { enqueuing_.store(false, std::memory_order_release); }

std::shared_ptr<Links> Group::links() {
  const std::lock_guard lock(mutex_);
  return links_;
}

void Group::wait(int rank, cudaStream_t stream) {
  state(rank).waits.fetch_add(1, std::memory_order_relaxed);
  const auto limit = size() > 1 ? failure_->lateness_limit() : std::chrono::milliseconds(0);
  Clock::time_point checked = Clock::now();
  const auto stop = [&] {
    if (failure_->failed()) return true;
    if (Clock::now() - checked > kLinkCheck) {
      check_links(rank);
      checked = Clock::now();
    }
    return false;
  };
  const bool done = poll_stream(stream, limit, stop);
  if (!done && !failure_->failed()) fail_late(rank);
  if (failure_->failed()) throw Interrupted{};
}

void Group::check_links(int rank) {
  const ncclResult_t status = links()->asynchronous_error(rank);
  if (status != ncclSuccess && status != ncclInProgress) nccl_check(status, "between GPUs");
}

// The late rank is one that has made fewer calls than this one, or, where all is replayed and
// nothing is called, one that has not come to wait for its stream yet. Where the hosts' threads
// have all come as far, a device is late, and nobody knows whose.
void Group::fail_late(int rank) {
  const auto progress = [&](int of) {
    return std::make_pair(log_.calls(of), state(of).waits.load(std::memory_order_relaxed));
  };
  int late = -1;
  for (int other = size(); other-- > 0;) {
    if (other != rank && progress(other) < progress(rank)) late = other;
  }
  const std::string limit = std::to_string(failure_->lateness_limit().count()) + " ms";
  const std::string waiting = "rank " + std::to_string(outer_rank(rank));
  const std::string what =
      late >= 0 ? "rank " + std::to_string(outer_rank(late)) + " is late: it has kept " + waiting +
                      " waiting for " + limit
                : "a device is late: " + waiting + " has waited for its stream for " + limit;
  failure_->fail(
      outer_rank(late >= 0 ? late : rank),
      Error(ErrorCode::kDevice, what, "raise the lateness limit if the device is merely slow"));
}

void Group::leave_failed(int rank) {
  state(rank).enqueuing.store(false, std::memory_order_release);
  if (failure_->failed()) drain();
}

void Group::leave(int rank) noexcept {
  if (!routes_.store || !state(rank).used.load(std::memory_order_relaxed)) return;
  const cudaStream_t stream = state(rank).stream.load(std::memory_order_relaxed);
  if (!is_recording(stream) && cudaStreamQuery(stream) == cudaSuccess) return;
  cudaGetLastError();  // the next call is not to blame
  left_busy_.store(true);
}

void Group::drain() {
  const Clock::time_point end = Clock::now() + kDrainLimit;
  for (const RankState& other : *states_) {
    while (!idle(other) && Clock::now() < end) std::this_thread::sleep_for(kDrainPause);
  }
}

std::shared_ptr<Group> Group::subgroup(int rank, int color, const std::vector<int>& members) {
  std::shared_ptr<Group> group;
  {
    const std::lock_guard lock(mutex_);
    const auto key = std::make_pair(log_.calls(rank), color);
    Pending& pending = pending_[key];
    if (!pending.group) {
      std::vector<int> devices;
      std::vector<int> outer;
      for (const int member : members) {
        devices.push_back(device(member));
        outer.push_back(outer_rank(member));
      }
      pending.group =
          std::make_shared<Group>(std::move(devices), std::move(outer), failure_, states_, routes_);
    }
    group = pending.group;
    if (++pending.fetched == members.size()) pending_.erase(key);
  }
  // By each rank, so that none uses a group that a failure would not interrupt.
  failure_->add(group);
  return group;
}

Route Group::route_for(int64_t largest) const {
  if (!peers_.reachable() || largest > routes_.direct_bytes) return Route::kNccl;
  const bool few = largest * (size() - 1) <= routes_.flagged_bytes;
  return few && peers_.takes_flagged() ? Route::kFlagged : Route::kDirect;
}

void Group::interrupt() noexcept {
  peers_.stop();
  links()->abort();
}

// Kernels that were told to stop have to see it before it is taken back.
void Group::reset() {
  drain();
  peers_.clear();
  log_.reset();
  for (RankState& of : *states_) {
    of.waits.store(0, std::memory_order_relaxed);
    of.used.store(false, std::memory_order_relaxed);
  }
  const std::lock_guard lock(mutex_);
  given_up_.push_back(std::exchange(links_, std::make_shared<Links>(devices_)));
  pending_.clear();
}

}  // namespace cleave::nccl
