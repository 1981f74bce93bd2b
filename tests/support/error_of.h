// The error that something throws, for tests of errors.
#pragma once

#include <gtest/gtest.h>

#include "cleave/error.h"

namespace cleave {

// The test fails where `action` throws no Error.
template <class Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInternal, "none");
}

}  // namespace cleave
