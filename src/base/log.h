// The library prints nothing: it logs to a sink that the caller passes down.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace cleave {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Receives one line at a time, without a newline; may be empty. Must be safe to call from any
// thread that runs the library on behalf of its owner.
using LogSink = std::function<void(LogLevel, std::string_view)>;

inline void log(const LogSink& sink, LogLevel level, std::string_view line) {
  if (sink) sink(level, line);
}

}  // namespace cleave
