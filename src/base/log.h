// The library prints nothing: it logs to a sink that the caller passes down.
#pragma once

#include <string_view>

#include "cleave/log.h"

namespace cleave {

inline void log(const LogSink& sink, LogLevel level, std::string_view line) {
  if (sink) sink(level, line);
}

}  // namespace cleave
