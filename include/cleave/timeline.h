// Timeline: what each rank did in one run, and when.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace cleave {

struct TimelineInstruction {
  std::string op;
  std::string name;  // of the model's nodes that it carries out
  bool communication = false;
  double predicted_us = 0;
};

// One instruction on one rank. Times in microseconds from the run's start.
struct TimelineEvent {
  uint32_t instruction = 0;
  double start_us = 0;
  double duration_us = 0;  // without waiting
  double waiting_us = 0;   // for the other ranks, before it started
  std::string kernel;
};

struct Timeline {
  std::vector<TimelineInstruction> instructions;
  std::vector<std::vector<TimelineEvent>> ranks;  // by rank, in order
  std::vector<std::string> devices;               // by rank
  double total_us = 0;
};

// Chrome's and Perfetto's JSON format: a process a rank, a lane in it a stream, an event an
// instruction by its op and node; `https://ui.perfetto.dev` opens it.
std::string chrome_trace(const Timeline& timeline);
// Error(kInvalid) where the file cannot be written.
void write_chrome_trace(const Timeline& timeline, const std::filesystem::path& path);

// Medians over several runs of one program.
class TimingSummary {
 public:
  struct Row {
    TimelineInstruction instruction;
    std::string kernel;     // on the slowest rank
    double median_us = 0;   // on the slowest rank: the rank whose median is largest
    double waiting_us = 0;  // median, on that rank
    std::vector<double> by_rank_us;
  };

  // Error(kInvalid) where the timeline is of another program or number of ranks.
  void add(const Timeline& timeline);
  size_t runs() const { return runs_; }
  std::vector<Row> rows() const;  // in program order
  // Medians of the sum over a run's instructions; the largest over ranks.
  double compute_us() const;
  double communication_us() const;
  double waiting_us() const;
  double total_us() const;  // median of whole runs

 private:
  template <class Select>
  double largest_of_sums(Select&& select) const;

  std::vector<TimelineInstruction> instructions_;
  std::vector<std::vector<std::string>> kernels_;           // [instruction][rank]
  std::vector<std::vector<std::vector<double>>> duration_;  // [instruction][rank][run]
  std::vector<std::vector<std::vector<double>>> waiting_;   // likewise
  std::vector<double> totals_;
  size_t runs_ = 0;
};

}  // namespace cleave
