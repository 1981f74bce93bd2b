#include "cleave/timeline.h"

#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "cleave/error.h"

namespace cleave {
namespace {

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      out += buffer;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string number(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.3f", value);
  return buffer;
}

// Ranks are processes of the trace, streams their threads: all work of a rank, collectives too, is
// on one stream.
std::string place(size_t rank) { return ",\"pid\":" + std::to_string(rank) + ",\"tid\":0"; }

// What a process or thread is called.
std::string name_event(const char* of, size_t rank, const std::string& name) {
  return std::string("{\"name\":\"") + of + "\",\"ph\":\"M\"" + place(rank) +
         ",\"args\":{\"name\":" + json_text(name) + "}}";
}

// A complete event ("X") of a rank.
std::string event(const std::string& name, const std::string& category, size_t rank, double start,
                  double duration, const std::string& arguments) {
  return "{\"name\":" + json_text(name) + ",\"cat\":" + json_text(category) + ",\"ph\":\"X\"" +
         place(rank) + ",\"ts\":" + number(start) + ",\"dur\":" + number(duration) + ",\"args\":{" +
         arguments + "}}";
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

std::string chrome_trace(const Timeline& timeline) {
  std::vector<std::string> events;
  for (size_t rank = 0; rank < timeline.ranks.size(); ++rank) {
    events.push_back(name_event("process_name", rank,
                                "rank " + std::to_string(rank) + " " + timeline.devices[rank]));
    events.push_back(name_event("thread_name", rank, "stream 0"));
    for (const TimelineEvent& e : timeline.ranks[rank]) {
      const TimelineInstruction& instruction = timeline.instructions[e.instruction];
      if (e.waiting_us > 0 && instruction.communication) {
        events.push_back(
            event("waiting", "waiting", rank, e.start_us - e.waiting_us, e.waiting_us, ""));
      }
      events.push_back(event(
          instruction.op + " " + instruction.name,
          instruction.communication ? "communication" : "compute", rank, e.start_us, e.duration_us,
          "\"op\":" + json_text(instruction.op) + ",\"node\":" + json_text(instruction.name) +
              ",\"kernel\":" + json_text(e.kernel) +
              ",\"instruction\":" + std::to_string(e.instruction) +
              ",\"predicted_us\":" + number(instruction.predicted_us)));
    }
  }
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  for (size_t i = 0; i < events.size(); ++i)
    out += events[i] + (i + 1 < events.size() ? ",\n" : "");
  return out + "\n]}\n";
}

void write_chrome_trace(const Timeline& timeline, const std::filesystem::path& path) {
  const std::string text = chrome_trace(timeline);
  FileWriter file(path);
  file.append(std::as_bytes(std::span(text)));
  file.commit();
}

void TimingSummary::add(const Timeline& timeline) {
  const size_t count = timeline.instructions.size();
  const size_t ranks = timeline.ranks.size();
  if (runs_ == 0) {
    instructions_ = timeline.instructions;
    kernels_.assign(count, std::vector<std::string>(ranks));
    duration_.assign(count, std::vector<std::vector<double>>(ranks));
    waiting_ = duration_;
  }
  if (instructions_.size() != count || (count > 0 && kernels_[0].size() != ranks)) {
    throw Error(ErrorCode::kInvalid, "timelines of different programs cannot be summarised");
  }
  for (size_t rank = 0; rank < ranks; ++rank) {
    for (size_t i = 0; i < count; ++i) {
      duration_[i][rank].push_back(0);  // instructions without work on this rank take no time
      waiting_[i][rank].push_back(0);
    }
    for (const TimelineEvent& e : timeline.ranks[rank]) {
      duration_[e.instruction][rank].back() += e.duration_us;
      waiting_[e.instruction][rank].back() += e.waiting_us;
      kernels_[e.instruction][rank] = e.kernel;
    }
  }
  totals_.push_back(timeline.total_us);
  ++runs_;
}

std::vector<TimingSummary::Row> TimingSummary::rows() const {
  std::vector<Row> rows;
  for (size_t i = 0; i < instructions_.size(); ++i) {
    Row& row = rows.emplace_back();
    row.instruction = instructions_[i];
    for (size_t rank = 0; rank < duration_[i].size(); ++rank) {
      row.by_rank_us.push_back(median(duration_[i][rank]));
      if (rank == 0 || row.by_rank_us[rank] > row.median_us) {
        row.median_us = row.by_rank_us[rank];
        row.waiting_us = median(waiting_[i][rank]);
        row.kernel = kernels_[i][rank];
      }
    }
  }
  return rows;
}

// For each rank and run the sum of select(instruction, duration, waiting); the median over runs;
// the largest over ranks.
template <class Select>
double TimingSummary::largest_of_sums(Select&& select) const {
  double largest = 0;
  const size_t ranks = instructions_.empty() ? 0 : duration_[0].size();
  for (size_t rank = 0; rank < ranks; ++rank) {
    std::vector<double> sums(runs_, 0);
    for (size_t i = 0; i < instructions_.size(); ++i) {
      for (size_t run = 0; run < runs_; ++run) {
        sums[run] += select(instructions_[i], duration_[i][rank][run], waiting_[i][rank][run]);
      }
    }
    largest = std::max(largest, median(std::move(sums)));
  }
  return largest;
}

double TimingSummary::compute_us() const {
  return largest_of_sums([](const TimelineInstruction& instruction, double duration, double) {
    return instruction.communication ? 0 : duration;
  });
}
double TimingSummary::communication_us() const {
  return largest_of_sums([](const TimelineInstruction& instruction, double duration, double) {
    return instruction.communication ? duration : 0;
  });
}
double TimingSummary::waiting_us() const {
  return largest_of_sums(
      [](const TimelineInstruction&, double, double waiting) { return waiting; });
}
double TimingSummary::total_us() const { return median(totals_); }

}  // namespace cleave
