// Errors: every failure a user can cause is thrown as a cleave::Error.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace cleave {

// What kind of failure it was. `exit_code` gives the code that the command line ends with.
enum class ErrorCode {
  kVerificationFailed,  // 1: results differ by more than the tolerance
  kUsage,               // 2: wrong flags or options
  kInvalid,             // 3: the model, engine or input is invalid
  kUnsupported,         // 4: valid, but not supported; all reasons are listed
  kOutOfMemory,         // 5: out of memory, or over the memory limit
  kDevice,              // 6: a device, link or rank failed
  kInternal,            // 70: a bug in Cleave
};

int exit_code(ErrorCode code);

// What happened, where, and what to do next. Shown as
//   error: <message>
//     at: <place>, <place>
//     hint: <hint>
// `at` adds a place (node, tensor, file) from the inside out while the exception travels.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {});

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& places() const { return places_; }
  const std::string& hint() const { return hint_; }
  // The whole text as shown above, without a final newline.
  const char* what() const noexcept override { return text_.c_str(); }

  Error& at(std::string place) &;
  Error&& at(std::string place) &&;
  Error& with_hint(std::string hint) &;
  Error&& with_hint(std::string hint) &&;

 private:
  void format();

  ErrorCode code_;
  std::string message_;
  std::vector<std::string> places_;
  std::string hint_;
  std::string text_;
};

}  // namespace cleave
