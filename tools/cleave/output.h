// Where the program's words go: results to standard output, the log to standard error.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cleave/log.h"

namespace cleave::cli {

// The reader of standard output went away (`cleave plan ... | head`): no failure.
struct BrokenPipe {};

// Writes to standard output. Error(kInvalid) where that fails, BrokenPipe where nobody reads.
void print(std::string_view text);
void flush_output();

// Writes to standard error, with a newline.
void print_error(std::string_view line);

enum class Verbosity { kQuiet, kNormal, kVerbose };
// Warnings unless quiet, the rest where verbose.
LogSink make_log(Verbosity verbosity);

// Writes a file whole or not at all; devices and pipes are written to in place.
void write_text(const std::filesystem::path& path, std::string_view text);

using Json = nlohmann::ordered_json;
// To the file, or to standard output where the place is "-".
void write_json(const std::string& place, const Json& json);

}  // namespace cleave::cli
