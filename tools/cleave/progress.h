// ProgressBar: how far a long step is, on a terminal.
#pragma once

#include <cstdint>
#include <string>

namespace cleave::cli {

// A bar on one line of standard error that is drawn again as it grows, and removed in the end.
// Where standard error is no terminal, or with `quiet`, the title alone as a line, or nothing.
class ProgressBar {
 public:
  ProgressBar(std::string title, bool quiet);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  void update(uint64_t done, uint64_t total);

 private:
  std::string title_;
  bool is_drawn_ = false;
  int percent_ = -1;
};

}  // namespace cleave::cli
