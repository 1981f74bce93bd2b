// Where the library's log goes: it prints nothing itself.
#pragma once

#include <functional>
#include <string_view>

namespace cleave {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Receives one line at a time, without a newline; may be empty. Must be safe to call from any
// thread that runs the library on behalf of its owner.
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace cleave
