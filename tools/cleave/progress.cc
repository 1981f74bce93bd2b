#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "output.h"

namespace cleave::cli {
namespace {

constexpr int kWidth = 30;  // of the bar, in characters

}  // namespace

ProgressBar::ProgressBar(std::string title, bool quiet)
    : title_(std::move(title)), is_drawn_(!quiet && ::isatty(STDERR_FILENO) == 1) {
  if (is_drawn_) {
    update(0, 1);
  } else if (!quiet) {
    print_error(title_);
  }
}

ProgressBar::~ProgressBar() {
  if (!is_drawn_) return;
  std::fputs("\r\x1b[K", stderr);  // to the line's start, and clear it
  std::fflush(stderr);
}

void ProgressBar::update(uint64_t done, uint64_t total) {
  if (!is_drawn_ || total == 0) return;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const int percent = static_cast<int>(part * 100);
  if (percent == percent_) return;
  percent_ = percent;
  const int filled = static_cast<int>(part * kWidth);
  const std::string line =
      fmt::format("\r{} [{:=<{}}{: <{}}] {:3}%", title_, "", filled, "", kWidth - filled, percent);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace cleave::cli
