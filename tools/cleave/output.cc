#include "output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>

#include "base/file.h"
#include "cleave/error.h"

namespace cleave::cli {
namespace {

[[noreturn]] void fail_to_write(const std::string& what, int error) {
  if (error == EPIPE) throw BrokenPipe();
  throw Error(ErrorCode::kInvalid, "cannot write " + what + ": " + std::strerror(error),
              "free some space, or write to another place");
}

void write_in_place(const std::filesystem::path& path, std::string_view text) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "wb"), &std::fclose);
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
      std::fflush(file.get()) != 0) {
    fail_to_write(path.string(), errno);
  }
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    fail_to_write("standard output", errno);
  }
}

void flush_output() {
  if (std::fflush(stdout) != 0) fail_to_write("standard output", errno);
}

void print_error(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  // Nothing is left to say it to where this fails.
  (void)!std::fwrite(text.data(), 1, text.size(), stderr);
}

LogSink make_log(Verbosity verbosity) {
  return [verbosity](LogLevel level, std::string_view line) {
    if (level == LogLevel::kError) return print_error("error: " + std::string(line));
    if (verbosity == Verbosity::kQuiet) return;
    if (level == LogLevel::kWarning) return print_error("warning: " + std::string(line));
    if (verbosity == Verbosity::kVerbose) print_error(line);
  };
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_character_file(status) || std::filesystem::is_fifo(status)) {
    return write_in_place(path, text);
  }
  FileWriter file(path);
  file.append(std::as_bytes(std::span(text)));
  file.commit();
}

void write_json(const std::string& place, const Json& json) {
  // Names come from models, which may hold any bytes.
  const std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (place == "-") {
    print(text);
  } else {
    write_text(place, text);
  }
}

}  // namespace cleave::cli
