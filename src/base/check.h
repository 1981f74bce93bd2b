// Checks of Cleave's own invariants: a failure is a bug (ErrorCode::kInternal), never a user's
// error.
#pragma once

#include <string>

#include "cleave/error.h"

namespace cleave {

[[noreturn]] inline void internal_error(const std::string& what, const char* file, int line) {
  throw Error(ErrorCode::kInternal, what + " (" + file + ":" + std::to_string(line) + ")",
              "this is a bug in Cleave; please report it with the model");
}

}  // namespace cleave

#define CLEAVE_CHECK(condition, message)                                       \
  do {                                                                         \
    if (!(condition)) ::cleave::internal_error((message), __FILE__, __LINE__); \
  } while (false)
