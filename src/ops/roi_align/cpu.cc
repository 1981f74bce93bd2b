// roi_align on the CPU. The samples of a bin are a grid, and their weights products of those along
// its rows and columns: a mean needs the elements that a bin sees once each, however many samples
// it has. What rows and columns see is found once for all channels of a region.
#include <algorithm>
#include <array>
#include <limits>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"
#include "types/indexing.h"
#include "types/roi.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 4 * 1024;  // results

struct Tap {
  int64_t at;
  double weight;
};

// What each bin of one dimension sees. Samples are kept apart where the largest is taken.
struct Bins {
  std::vector<Tap> taps;
  std::vector<size_t> ends;  // by bin
  std::vector<bool> leaves;  // whether a sample of the bin lies outside

  Bins(const RoiAxis& axis, int64_t bins, int64_t extent, bool merges) {
    for (int64_t bin = 0; bin < bins; ++bin) {
      const size_t first = taps.size();
      leaves.push_back(false);
      for (int64_t s = 0; s < axis.samples; ++s) {
        const auto sample = roi_sample(axis.position(bin, s), extent);
        if (!sample) leaves.back() = true;
        for (size_t k = 0; sample && k < 2; ++k) {
          Tap tap{sample->at[k], sample->weight[k]};
          const auto end = taps.rend() - static_cast<ptrdiff_t>(first);
          const auto known = std::find_if(taps.rbegin(), end,
                                          [&](const Tap& other) { return other.at == tap.at; });
          if (merges && known != end) {
            known->weight += tap.weight;
          } else {
            taps.push_back(tap);
          }
        }
      }
      ends.push_back(taps.size());
    }
  }

  std::span<const Tap> of(int64_t bin) const {
    const size_t first = bin == 0 ? 0 : ends[static_cast<size_t>(bin) - 1];
    return std::span(taps).subspan(first, ends[static_cast<size_t>(bin)] - first);
  }
};

struct Align {
  RoiAlignment alignment;
  IndexRange range;
  std::array<int64_t, 4> x;  // n, c, y, x
  std::array<int64_t, 4> y;  // r, c, bins

  template <class T, class R, class I>
  void run(int64_t region, Range channels, const T* data, const R* rois, const I* images,
           T* to) const {
    to += (region * y[1] + channels.begin) * y[2] * y[3];
    const int64_t image = range.position(images[region]);
    if (image < 0 || x[2] == 0 || x[3] == 0) {
      std::fill_n(to, channels.size() * y[2] * y[3], T{});
      return;
    }
    const auto corner = [&](int64_t i) { return widened<double>(rois[4 * region + i]); };
    const RoiAxis across(alignment, corner(0), corner(2), y[3]);
    const RoiAxis down(alignment, corner(1), corner(3), y[2]);
    const bool merges = !alignment.takes_largest;
    const Bins rows(down, y[2], x[2], merges);
    const Bins columns(across, y[3], x[3], merges);
    const double samples = static_cast<double>(std::max<int64_t>(1, down.samples * across.samples));
    for (int64_t c = channels.begin; c < channels.end; ++c) {
      const T* plane = data + (image * x[1] + c) * x[2] * x[3];
      for (int64_t i = 0; i < y[2]; ++i) {
        for (int64_t j = 0; j < y[3]; ++j) {
          const bool leaves =
              rows.leaves[static_cast<size_t>(i)] || columns.leaves[static_cast<size_t>(j)];
          *to++ = narrowed<T>(merges ? sum(plane, rows.of(i), columns.of(j)) / samples
                                     : largest(plane, rows.of(i), columns.of(j), leaves));
        }
      }
    }
  }

 private:
  template <class T>
  double sum(const T* plane, std::span<const Tap> rows, std::span<const Tap> columns) const {
    double sum = 0;
    for (const Tap& row : rows) {
      const T* line = plane + row.at * x[3];
      double part = 0;
      for (const Tap& column : columns) part += widened<double>(line[column.at]) * column.weight;
      sum += part * row.weight;
    }
    return sum;
  }

  // A sample that is outside counts as 0.
  template <class T>
  double largest(const T* plane, std::span<const Tap> rows, std::span<const Tap> columns,
                 bool leaves) const {
    if (rows.empty() || columns.empty()) return 0;
    double largest = leaves ? 0 : -std::numeric_limits<double>::infinity();
    for (const Tap& row : rows) {
      const T* line = plane + row.at * x[3];
      for (const Tap& column : columns) {
        largest = std::max(largest, widened<double>(line[column.at]) * row.weight * column.weight);
      }
    }
    return largest;
  }
};

RunFunction prepare(const KernelProblem& problem) {
  Align work{RoiAlignment::of(problem.attributes),
             IndexRange::of(problem.attributes, problem.inputs[0].shape[0]),
             {},
             {}};
  std::ranges::copy(problem.inputs[0].shape, work.x.begin());
  std::ranges::copy(problem.outputs[0].shape, work.y.begin());
  const std::array<DType, 3> types = {problem.inputs[0].dtype, problem.inputs[1].dtype,
                                      problem.inputs[2].dtype};
  return [work, types](std::span<const void* const> inputs, std::span<void* const> outputs,
                       ThreadPool& pool) {
    const auto [regions, channels, height, width] = work.y;
    if (regions * channels * height * width == 0) return;
    const int64_t grain = std::max<int64_t>(1, kChunkElements / (height * width));
    const int64_t parts = ceil_div(channels, grain);
    pool.parallel_for(regions * parts, [&](int64_t chunk) {
      const Range part = partition(channels, parts, chunk % parts);
      dispatch_floating(types[0], [&]<class T>() {
        dispatch_floating(types[1], [&]<class R>() {
          dispatch_index(types[2], [&]<class I>() {
            work.run(chunk / parts, part, static_cast<const T*>(inputs[0]),
                     static_cast<const R*>(inputs[1]), static_cast<const I*>(inputs[2]),
                     static_cast<T*>(outputs[0]));
          });
        });
      });
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 3, 3)) return reason;
  for (const size_t input : {0, 1}) {
    if (!is_floating(problem.inputs[input].dtype)) return "it takes floating types";
  }
  const DType index = problem.inputs[2].dtype;
  if (index != DType::kInt64 && index != DType::kInt32) return "it takes indices of i32 or i64";
  if (problem.inputs[0].rank() != 4 || problem.outputs[0].rank() != 4) return "ranks do not fit";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  return refuse_strides(problem);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_roi_align_cpu() {
  return {std::make_shared<SimpleKernel>("roi_align", "roi_align.regions", refuses, prepare)};
}

}  // namespace cleave::backend
