#include "cleave/error.h"

#include <utility>

namespace cleave {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kVerificationFailed:
      return 1;
    case ErrorCode::kUsage:
      return 2;
    case ErrorCode::kInvalid:
      return 3;
    case ErrorCode::kUnsupported:
      return 4;
    case ErrorCode::kOutOfMemory:
      return 5;
    case ErrorCode::kDevice:
      return 6;
    case ErrorCode::kInternal:
      return 70;
  }
  return 70;
}

Error::Error(ErrorCode code, std::string message, std::string hint)
    : code_(code), message_(std::move(message)), hint_(std::move(hint)) {
  format();
}

Error& Error::at(std::string place) & {
  places_.push_back(std::move(place));
  format();
  return *this;
}

Error&& Error::at(std::string place) && { return std::move(at(std::move(place))); }

Error& Error::with_hint(std::string hint) & {
  hint_ = std::move(hint);
  format();
  return *this;
}

Error&& Error::with_hint(std::string hint) && { return std::move(with_hint(std::move(hint))); }

void Error::format() {
  text_ = "error: " + message_;
  if (!places_.empty()) {
    text_ += "\n  at: ";
    for (size_t i = 0; i < places_.size(); ++i) text_ += (i ? ", " : "") + places_[i];
  }
  if (!hint_.empty()) text_ += "\n  hint: " + hint_;
}

}  // namespace cleave
