#include "comm/message_plan.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <optional>

namespace cleave {
namespace {

// A step in bytes; a side that lies densely in a message has the strides of the message.
struct Runs {
  int64_t src = 0;
  int64_t dst = 0;
  int64_t run = 0;
  std::vector<CopyLoop> loops;  // outermost first
};

enum class Dense { kNone, kSource, kDestination };

int64_t elements_of(const CopyStep& step) {
  int64_t elements = step.run;
  for (const CopyLoop& loop : step.loops) elements *= loop.count;
  return elements;
}

int64_t aligned(int64_t bytes) {
  return (bytes + kMessageAlignment - 1) / kMessageAlignment * kMessageAlignment;
}

Runs runs_of(const CopyStep& step, int64_t element_size, Dense dense, int64_t message_offset) {
  Runs runs{step.src_offset * element_size, step.dst_offset * element_size, step.run * element_size,
            step.loops};
  if (dense == Dense::kSource) runs.src = message_offset;
  if (dense == Dense::kDestination) runs.dst = message_offset;
  int64_t stride = runs.run;
  for (size_t i = runs.loops.size(); i-- > 0;) {
    CopyLoop& loop = runs.loops[i];
    loop.src_stride = dense == Dense::kSource ? stride : loop.src_stride * element_size;
    loop.dst_stride = dense == Dense::kDestination ? stride : loop.dst_stride * element_size;
    stride *= loop.count;
  }
  return runs;
}

// Joins loops that go on where the one inside ends.
void collapse(Runs& runs) {
  std::vector<CopyLoop> kept;  // innermost first
  for (size_t i = runs.loops.size(); i-- > 0;) {
    const CopyLoop& loop = runs.loops[i];
    if (loop.count == 1) continue;
    if (kept.empty() && loop.src_stride == runs.run && loop.dst_stride == runs.run) {
      runs.run *= loop.count;
    } else if (!kept.empty() && loop.src_stride == kept.back().count * kept.back().src_stride &&
               loop.dst_stride == kept.back().count * kept.back().dst_stride) {
      kept.back().count *= loop.count;
    } else {
      kept.push_back(loop);
    }
  }
  runs.loops.assign(kept.rbegin(), kept.rend());
}

// Loops beyond those that an entry has room for become entries of their own.
void append(const Runs& runs, std::vector<CopyRuns>& entries) {
  if (runs.loops.size() > CopyRuns::kLoops) {
    const CopyLoop& outer = runs.loops.front();
    for (int64_t i = 0; i < outer.count; ++i) {
      append({runs.src + i * outer.src_stride,
              runs.dst + i * outer.dst_stride,
              runs.run,
              {runs.loops.begin() + 1, runs.loops.end()}},
             entries);
    }
    return;
  }
  CopyRuns entry{.src = runs.src, .dst = runs.dst, .run = runs.run};
  const size_t first = CopyRuns::kLoops - runs.loops.size();
  for (size_t i = 0; i < runs.loops.size(); ++i) {
    entry.count[first + i] = runs.loops[i].count;
    entry.src_stride[first + i] = runs.loops[i].src_stride;
    entry.dst_stride[first + i] = runs.loops[i].dst_stride;
  }
  entries.push_back(entry);
}

// The size of the largest message that one rank gets from another by the steps.
int64_t largest_message(std::span<const std::vector<CopyStep>> steps_of, int64_t element_size) {
  int64_t largest = 0;
  for (size_t rank = 0; rank < steps_of.size(); ++rank) {
    std::vector<int64_t> from(steps_of.size(), 0);
    for (const CopyStep& step : steps_of[rank]) {
      int64_t& bytes = from[static_cast<size_t>(step.peer)];
      bytes += elements_of(step) * element_size;
      if (static_cast<size_t>(step.peer) != rank) largest = std::max(largest, bytes);
    }
  }
  return largest;
}

// The size of the largest part that a rank takes by the scatter_steps of all: of each term of it.
int64_t largest_part(std::span<const std::vector<CopyStep>> steps_of, int64_t element_size) {
  int64_t largest = 0;
  for (const auto& steps : steps_of) {
    int64_t bytes = 0;
    for (const CopyStep& step : steps) bytes += elements_of(step) * element_size;
    largest = std::max(largest, bytes);
  }
  return largest;
}

// Shorter rows are no faster to read or write one by one than to pack.
constexpr int64_t kLeastRun = 64;

// The only step from or to `peer`, where its runs are rows or one stretch; else nothing. `dense`
// is the side that lies in a message instead of a tensor, if one does.
std::optional<Runs> rows_of(const std::vector<CopyStep>& steps, int peer, int64_t element_size,
                            Dense dense) {
  std::optional<Runs> rows;
  for (const CopyStep& step : steps) {
    if (step.peer != peer) continue;
    if (rows) return std::nullopt;
    rows = runs_of(step, element_size, dense, 0);
  }
  if (!rows) return std::nullopt;
  collapse(*rows);
  const bool fits = rows->loops.empty() || (rows->loops.size() == 1 && rows->run >= kLeastRun);
  return fits && rows->run > 0 ? rows : std::nullopt;
}

// It begins at `offset` of a tensor.
Message message_of(const Runs& rows, int64_t offset) {
  Message message{.bytes = rows.run, .offset = offset, .run = rows.run};
  if (!rows.loops.empty()) {
    message.bytes *= rows.loops[0].count;
    message.src_stride = rows.loops[0].src_stride;
    message.dst_stride = rows.loops[0].dst_stride;
  }
  return message;
}

// Whether the entries, whose other side is dense, lie in one stretch of the tensor.
bool one_stretch(const std::vector<CopyRuns>& entries, int64_t CopyRuns::*offset) {
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].bytes() != entries[i].run) return false;
    if (i > 0 && entries[i].*offset != entries[i - 1].*offset + entries[i - 1].run) return false;
  }
  return true;
}

// The message that consists of those of `steps` that `peer` is the source of, on the side where it
// is not dense. It is staged at the end of `staging` where it is not one stretch of the tensor;
// then the table gets the copies.
Message lay_out(const std::vector<CopyStep>& steps, int peer, int64_t element_size, Dense dense,
                int64_t& staging, std::vector<CopyRuns>& table) {
  Message message;
  std::vector<CopyRuns> entries;
  for (const CopyStep& step : steps) {
    if (step.peer != peer) continue;
    Runs runs = runs_of(step, element_size, dense, staging + message.bytes);
    collapse(runs);
    append(runs, entries);
    message.bytes += elements_of(step) * element_size;
  }
  message.run = message.bytes;
  if (message.bytes == 0) return message;
  const auto offset = dense == Dense::kDestination ? &CopyRuns::src : &CopyRuns::dst;
  if (one_stretch(entries, offset)) {
    message.offset = entries.front().*offset;
    return message;
  }
  message.staged = true;
  message.offset = staging;
  staging += aligned(message.bytes);
  table.insert(table.end(), entries.begin(), entries.end());
  return message;
}

void finish(CopyTable& table) {
  uint64_t bits = kMessageAlignment;
  for (CopyRuns& entry : table.entries) {
    entry.begin = table.bytes;
    table.bytes += entry.bytes();
    bits |= static_cast<uint64_t>(entry.src | entry.dst | entry.run);
    for (int i = 0; i < CopyRuns::kLoops; ++i) {
      if (entry.count[i] > 1)
        bits |= static_cast<uint64_t>(entry.src_stride[i] | entry.dst_stride[i]);
    }
  }
  table.alignment = int64_t{1} << std::countr_zero(bits);
}

}  // namespace

ExchangePlan plan_exchange(std::span<const std::vector<CopyStep>> steps_of, int rank,
                           int64_t element_size, const TakesRows& takes_rows) {
  ExchangePlan plan;
  plan.largest = largest_message(steps_of, element_size);
  const bool in_rows = takes_rows(plan.largest);
  const auto& own = steps_of[static_cast<size_t>(rank)];
  for (int peer = 0; peer < static_cast<int>(steps_of.size()); ++peer) {
    if (peer == rank) {
      plan.sends.emplace_back();
      plan.receives.emplace_back();
      continue;
    }
    // Both ranks come to the same: they look at the same step.
    const auto message = [&](const std::vector<CopyStep>& steps, int from, Dense dense,
                             int64_t& staging, CopyTable& table) {
      const auto rows = in_rows ? rows_of(steps, from, element_size, Dense::kNone) : std::nullopt;
      if (rows) return message_of(*rows, dense == Dense::kDestination ? rows->src : rows->dst);
      return lay_out(steps, from, element_size, dense, staging, table.entries);
    };
    plan.sends.push_back(message(steps_of[static_cast<size_t>(peer)], rank, Dense::kDestination,
                                 plan.send_staging, plan.pack));
    plan.receives.push_back(message(own, peer, Dense::kSource, plan.receive_staging, plan.unpack));
  }
  for (const CopyStep& step : own) {
    if (step.peer != rank) continue;
    Runs runs = runs_of(step, element_size, Dense::kNone, 0);
    collapse(runs);
    append(runs, plan.local.entries);
  }
  finish(plan.pack);
  finish(plan.local);
  finish(plan.unpack);
  return plan;
}

ScatterPlan plan_scatter(std::span<const std::vector<CopyStep>> steps_of, int rank,
                         int64_t element_size, const TakesRows& takes_rows) {
  ScatterPlan plan;
  const int64_t largest = largest_part(steps_of, element_size);
  if (steps_of.size() > 1) plan.largest = largest;
  const bool in_rows = takes_rows(largest);
  for (int peer = 0; peer < static_cast<int>(steps_of.size()); ++peer) {
    // scatter_steps name the rank that takes as the peer.
    const auto& steps = steps_of[static_cast<size_t>(peer)];
    const auto rows =
        in_rows ? rows_of(steps, peer, element_size, Dense::kDestination) : std::nullopt;
    plan.sends.push_back(rows ? message_of(*rows, rows->src)
                              : lay_out(steps, peer, element_size, Dense::kDestination,
                                        plan.send_staging, plan.pack.entries));
  }
  int64_t staging = 0;
  plan.result = lay_out(steps_of[static_cast<size_t>(rank)], rank, element_size, Dense::kSource,
                        staging, plan.unpack.entries);
  finish(plan.pack);
  finish(plan.unpack);
  return plan;
}

void run_table(const CopyTable& table, const void* src, void* dst) {
  for (const CopyRuns& entry : table.entries) {
    for (int64_t i = 0; i < entry.count[0]; ++i) {
      for (int64_t j = 0; j < entry.count[1]; ++j) {
        for (int64_t k = 0; k < entry.count[2]; ++k) {
          const int64_t from = entry.src + i * entry.src_stride[0] + j * entry.src_stride[1] +
                               k * entry.src_stride[2];
          const int64_t to = entry.dst + i * entry.dst_stride[0] + j * entry.dst_stride[1] +
                             k * entry.dst_stride[2];
          std::memcpy(static_cast<std::byte*>(dst) + to, static_cast<const std::byte*>(src) + from,
                      static_cast<size_t>(entry.run));
        }
      }
    }
  }
}

}  // namespace cleave
