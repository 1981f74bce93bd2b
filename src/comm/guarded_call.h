// How a communicator's call runs: it is known to be under way, and when it fails, so does the
// group.
#pragma once

#include <exception>
#include <utility>

#include "comm/communicator.h"
#include "comm/failure_state.h"

namespace cleave {

// Runs the body of a call of `communicator`, whose rank in the outermost group is `outer_rank`.
// `leave_failed` returns when no other rank touches this rank's buffers any more. Throws the
// group's error where the body was interrupted, else what the body threw.
template <class LeaveFailed, class Body>
void guarded_call(Communicator& communicator, FailureState& failure, int outer_rank,
                  LeaveFailed&& leave_failed, Body&& body) {
  failure.enter(outer_rank);
  struct Leave {
    FailureState& failure;
    int rank;
    ~Leave() { failure.leave(rank); }
  } leave{failure, outer_rank};
  try {
    std::forward<Body>(body)();
  } catch (const Interrupted&) {
    leave_failed();
    throw failure.error();
  } catch (const Error& why) {
    communicator.abort(why);
    leave_failed();
    throw;
  } catch (const std::exception& why) {
    communicator.abort(Error(ErrorCode::kDevice, why.what()));
    leave_failed();
    throw;
  }
}

}  // namespace cleave
