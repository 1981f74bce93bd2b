// A channels-last convolution is a matrix product whose rows are places and whose columns are
// output channels. The terms of a place lie one behind the other in memory, line by line of its
// window, and places beside each other see lines that begin a fixed step apart: rows are read where
// they lie but at the borders of the image, where lines are copied with their padding.
#include "ops/conv/cpu_channels_last.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "backend/cpu/gemm.h"
#include "backend/cpu/slots.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_place_epilogue.h"
#include "ops/conv/cpu_problem.h"

namespace cleave::backend {
namespace {

constexpr int64_t kFloat = sizeof(float);
// Of all threads together (capabilities_cpu.cc).
constexpr int64_t kWorkspaceBytes = int64_t{8} << 20;
// Lines that are copied for a block with their padding, at most; of more, terms are.
constexpr int64_t kMostLineBytes = int64_t{1} << 20;
// Columns whose sums are made together, so that they stay in the second-level cache.
constexpr int64_t kMostColumns = 512;

// Places of the result that follow each other along x.
struct Strip {
  int64_t z = 0;
  int64_t y = 0;
  int64_t x = 0;
  int64_t count = 0;
};

// Terms of all places that follow each other in memory, or some of them: those of one line of taps
// along x with their channels, or of one tap where taps do not lie side by side.
struct Segment {
  ImageIndex tap{};  // the first
  int64_t skip = 0;  // terms of the line before it
  int64_t depth = 0;
  int64_t offset = 0;  // terms of all segments before it
};

// Where the rows of a strip begin, and how far apart they lie; none where all terms are padding.
struct Rows {
  const float* a = nullptr;
  int64_t lda = 0;
};

// The image as the terms of places, segment by segment.
class PlaceTerms {
 public:
  explicit PlaceTerms(const ConvProblem& conv)
      : conv_(conv),
        step_(conv.groups * conv.channels),
        joined_(conv.groups == 1 && conv.axes[2].dilation == 1),
        aliased_(conv.axes[2].stride * step_ * kFloat % kAliasBytes == 0) {
    const auto& [deep, high, wide] = conv.axes;
    const ImageIndex lines = {deep.kernel, high.kernel, joined_ ? 1 : wide.kernel};
    const int64_t length = conv.channels * (joined_ ? wide.kernel : 1);
    const int64_t parts = (length + kBlockDepth - 1) / kBlockDepth;
    int64_t offset = 0;
    for_each_index(lines, [&](const ImageIndex& tap) {
      for (int64_t part = 0; part < parts; ++part) {
        const Range terms = partition(length, parts, part);
        segments_.push_back({tap, terms.begin, terms.size(), offset});
        offset += terms.size();
      }
    });
  }

  const std::vector<Segment>& segments() const { return segments_; }
  // The term of a segment as (tap, channel).
  std::pair<int64_t, int64_t> term(const Segment& segment, int64_t at) const {
    const auto& axes = conv_.axes;
    const int64_t tap =
        (segment.tap[0] * axes[1].kernel + segment.tap[1]) * axes[2].kernel + segment.tap[2];
    const int64_t term = segment.skip + at;
    return {tap + term / conv_.channels, term % conv_.channels};
  }
  int64_t step() const { return step_; }

  // For blocks of so many strips, of so many places each.
  void set_strips(int64_t strips, int64_t places) {
    const WindowAxis& wide = conv_.axes[2];
    const int64_t line = ((places - 1) * wide.stride + wide.kernel) * conv_.channels;
    copies_lines_ = joined_ && !aliased_ && strips * line * kFloat <= kMostLineBytes;
    const int64_t floats =
        copies_lines_ ? line : places * row_floats(std::min(kBlockDepth, line_length()));
    strip_floats_ = (floats + 15) / 16 * 16;
  }
  // Floats that a strip may be copied into.
  int64_t strip_floats() const { return strip_floats_; }

  // `x` is the first element of the group's channels. Where the strip lies at the border of the
  // image it is copied; `copied` holds what the segment before it left.
  Rows rows(const float* x, const Strip& strip, const Segment& segment, float* copied) const {
    const auto& [deep, high, wide] = conv_.axes;
    const int64_t z = deep.position(strip.z, segment.tap[0]);
    const int64_t y = high.position(strip.y, segment.tap[1]);
    if (z < 0 || z >= deep.in || y < 0 || y >= high.in) return {};
    const float* line = x + (z * high.in + y) * wide.in * step_;
    const int64_t first = wide.position(strip.x, segment.tap[2]);
    const int64_t taps = joined_ ? wide.kernel : 1;
    const int64_t end = first + (strip.count - 1) * wide.stride + taps;
    const int64_t lda = wide.stride * step_;
    if (!aliased_ && first >= 0 && end <= wide.in) {
      return {line + first * step_ + segment.skip, lda};
    }
    if (copies_lines_) {
      if (segment.skip == 0) copy_pixels(line, first, end, copied);
      return {copied + segment.skip, lda};
    }
    return copy_places(line, first, strip.count, segment, copied);
  }

 private:
  // Of a copied row; not a multiple of what shares a set of the cache.
  static int64_t row_floats(int64_t depth) { return (depth + 15) / 16 * 16 + 16; }
  int64_t line_length() const { return conv_.channels * (joined_ ? conv_.axes[2].kernel : 1); }

  // Pixels [first, end) of a line, zero outside of the image.
  void copy_pixels(const float* line, int64_t first, int64_t end, float* to) const {
    const int64_t in = conv_.axes[2].in;
    const int64_t begin = std::clamp<int64_t>(0, first, end);
    const int64_t stop = std::clamp(in, begin, end);
    std::fill_n(to, (begin - first) * step_, 0.0f);
    std::memcpy(to + (begin - first) * step_, line + begin * step_,
                static_cast<size_t>((stop - begin) * step_ * kFloat));
    std::fill_n(to + (stop - first) * step_, (end - stop) * step_, 0.0f);
  }

  Rows copy_places(const float* line, int64_t first, int64_t count, const Segment& segment,
                   float* to) const {
    const WindowAxis& wide = conv_.axes[2];
    const int64_t lda = row_floats(segment.depth);
    for (int64_t i = 0; i < count; ++i) {
      float* row = to + i * lda;
      // Terms of the segment inside of the image.
      const int64_t at = first + i * wide.stride;
      int64_t begin = 0;
      int64_t end = at >= 0 && at < wide.in ? segment.depth : 0;
      if (joined_) {
        begin = std::clamp<int64_t>(-at * step_ - segment.skip, 0, segment.depth);
        end = std::clamp<int64_t>((wide.in - at) * step_ - segment.skip, begin, segment.depth);
      }
      std::fill_n(row, begin, 0.0f);
      if (end > begin) {
        std::memcpy(row + begin, line + at * step_ + segment.skip + begin,
                    static_cast<size_t>((end - begin) * kFloat));
      }
      std::fill_n(row + end, segment.depth - end, 0.0f);
    }
    return {to, lda};
  }

  const ConvProblem& conv_;
  int64_t step_;  // elements between pixels
  bool joined_;
  bool aliased_;
  bool copies_lines_ = false;
  int64_t strip_floats_ = 0;
  std::vector<Segment> segments_;
};

// Where each place sees its own pixel alone, the image is one line.
ConvProblem flattened(ConvProblem conv) {
  auto& [deep, high, wide] = conv.axes;
  for (const WindowAxis& axis : conv.axes) {
    if (axis.kernel != 1 || axis.stride != 1 || axis.low != 0 || axis.in != axis.out) return conv;
  }
  const int64_t places = deep.in * high.in * wide.in;
  deep = high = {};
  wide.in = wide.out = places;
  return conv;
}

class PreparedChannelsLast final : public PreparedKernel {
 public:
  PreparedChannelsLast(const KernelProblem& problem, KernelCache& cache)
      : table_(simd::best()),
        conv_(flattened(ConvProblem(problem))),
        epilogue_(problem),
        terms_(conv_),
        k_(conv_.channels * conv_.taps()),
        panels_((conv_.outputs + table_.panel - 1) / table_.panel) {
    choose_blocks(problem.threads);
    if (problem.is_constant(1) && problem.key(1) != 0) pack_weight(problem, cache);
  }

  int64_t workspace_bytes() const override {
    return slots_ * slot_bytes() + (weight_ == nullptr ? weight_bytes() : 0);
  }
  bool reads_input(size_t input) const override { return input != 1 || weight_ == nullptr; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           std::byte* workspace, ThreadPool& pool) const override {
    const int64_t tasks = conv_.images * conv_.groups * place_blocks_ * column_blocks_;
    if (tasks == 0) return;
    const std::byte* weights = workspace + slots_ * slot_bytes();
    if (weight_ != nullptr) {
      weights = weight_->data();
    } else {
      pack(static_cast<const float*>(inputs[1]),
           reinterpret_cast<float*>(workspace + slots_ * slot_bytes()));
    }
    Slots slots(workspace, slot_bytes(), slots_);
    pool.parallel_for(tasks, [&](int64_t task) {
      const Slots::Slot slot(slots);
      compute(task, inputs, outputs, reinterpret_cast<const float*>(weights), slot.data());
    });
  }

 private:
  // Strips are whole lines of the result, or parts of long ones. Enough blocks of them for all
  // threads, and blocks of columns where there are few places; the sums do not depend on them.
  void choose_blocks(int threads) {
    const WindowAxis& wide = conv_.axes[2];
    const int64_t others = conv_.images * conv_.groups;
    const int64_t lines = conv_.axes[0].out * conv_.axes[1].out;
    if (others * panels_ * lines * wide.out == 0) return;
    const int64_t wanted = threads == 1 ? 1 : threads * 3;
    const int64_t at_least = std::min((wanted + others * lines - 1) / (others * lines),
                                      std::max<int64_t>(1, wide.out / kLeastPlaces));
    strips_of_line_ = std::max((wide.out + kMostPlaces - 1) / kMostPlaces, at_least);
    strip_places_ = (wide.out + strips_of_line_ - 1) / strips_of_line_;
    strips_of_line_ = (wide.out + strip_places_ - 1) / strip_places_;
    const int64_t strips = lines * strips_of_line_;
    const int64_t together =
        std::max<int64_t>(1, std::min(kMostPlaces / strip_places_, others * strips / wanted));
    place_blocks_ = (strips + together - 1) / together;
    block_strips_ = (strips + place_blocks_ - 1) / place_blocks_;
    place_blocks_ = (strips + block_strips_ - 1) / block_strips_;
    const int64_t tasks = others * place_blocks_;
    const int64_t columns =
        std::max((conv_.outputs + kMostColumns - 1) / kMostColumns, (wanted + tasks - 1) / tasks);
    block_panels_ = (panels_ + std::min(columns, panels_) - 1) / std::min(columns, panels_);
    column_blocks_ = (panels_ + block_panels_ - 1) / block_panels_;
    terms_.set_strips(block_strips_, strip_places_);
    slots_ = slots_within(kWorkspaceBytes, slot_bytes(), threads);
  }

  Strip strip(int64_t index) const {
    const int64_t line = index / strips_of_line_;
    const int64_t x = index % strips_of_line_ * strip_places_;
    const int64_t high = conv_.axes[1].out;
    return {line / high, line % high, x, std::min(strip_places_, conv_.axes[2].out - x)};
  }

  int64_t copied_floats() const { return block_strips_ * terms_.strip_floats(); }
  int64_t sums_floats() const {
    return epilogue_.in_place() ? 0 : block_strips_ * strip_places_ * block_panels_ * table_.panel;
  }
  int64_t slot_bytes() const {
    if (place_blocks_ == 0) return 0;
    const int64_t floats = copied_floats() + sums_floats();
    return (floats * kFloat + 63) / 64 * 64 + epilogue_.scratch_bytes();
  }
  int64_t group_floats() const { return k_ * panels_ * table_.panel; }
  int64_t weight_bytes() const { return conv_.groups * group_floats() * kFloat; }

  // [group][segment][panel][term][column], zero beyond the last output channel.
  void pack(const float* weights, float* to) const {
    const int64_t taps = conv_.taps();
    for (int64_t group = 0; group < conv_.groups; ++group) {
      const float* from = weights + group * conv_.outputs * k_;
      for (const Segment& segment : terms_.segments()) {
        for (int64_t first = 0; first < conv_.outputs; first += table_.panel) {
          const int64_t columns = std::min<int64_t>(table_.panel, conv_.outputs - first);
          for (int64_t p = 0; p < segment.depth; ++p, to += table_.panel) {
            const auto [tap, channel] = terms_.term(segment, p);
            const float* element = from + first * k_ + channel * taps + tap;
            for (int64_t j = 0; j < columns; ++j) to[j] = element[j * k_];
            std::fill(to + columns, to + table_.panel, 0.0f);
          }
        }
      }
    }
  }

  void pack_weight(const KernelProblem& problem, KernelCache& cache) {
    std::string format = "panels " + std::to_string(table_.panel) + " of " +
                         std::to_string(conv_.groups) + " by " +
                         std::to_string(conv_.axes[2].dilation == 1);
    for (const int64_t extent : problem.inputs[1].shape) format += "x" + std::to_string(extent);
    weight_ = cache.packed(hash_combine(problem.key(1), hash_bytes(format)), weight_bytes(),
                           "a packed weight", [&](std::byte* to) {
                             pack(static_cast<const float*>(problem.constant(1)),
                                  reinterpret_cast<float*>(to));
                           });
  }

  // The columns of one block.
  struct Columns {
    int64_t first_panel, last_panel;
    int64_t channels;  // of them
  };

  void compute(int64_t task, std::span<const void* const> inputs, std::span<void* const> outputs,
               const float* weights, std::byte* slot) const {
    const int64_t column_block = task % column_blocks_;
    task /= column_blocks_;
    const int64_t first_strip = task % place_blocks_ * block_strips_;
    task /= place_blocks_;
    const int64_t group = task % conv_.groups;
    const int64_t image = task / conv_.groups;
    const int64_t strips = conv_.axes[0].out * conv_.axes[1].out * strips_of_line_;
    const int64_t last_strip = std::min(first_strip + block_strips_, strips);

    Columns columns{column_block * block_panels_, 0, 0};
    columns.last_panel = std::min(columns.first_panel + block_panels_, panels_);
    columns.channels = std::min(columns.last_panel * table_.panel, conv_.outputs) -
                       columns.first_panel * table_.panel;
    const int64_t channel = group * conv_.outputs + columns.first_panel * table_.panel;
    const int64_t all = conv_.groups * conv_.outputs;
    const Strip begin = strip(first_strip);
    const int64_t place = (begin.z * conv_.axes[1].out + begin.y) * conv_.axes[2].out + begin.x;

    const float* x = static_cast<const float*>(inputs[0]) + image * conv_.plane() * terms_.step() +
                     group * conv_.channels;
    float* copied = reinterpret_cast<float*>(slot);
    float* sums = copied + copied_floats();
    int64_t step = columns.channels;
    if (epilogue_.in_place()) {
      sums = static_cast<float*>(outputs[0]) + (image * conv_.places() + place) * all + channel;
      step = all;
    }
    int64_t count = 0;
    const float* group_weights = weights + group * group_floats();
    for (size_t s = 0; s < terms_.segments().size(); ++s) {
      const Segment& segment = terms_.segments()[s];
      const float* b = group_weights + segment.offset * panels_ * table_.panel;
      Rows rows[kMostPlaces];
      for (int64_t i = first_strip; i < last_strip; ++i) {
        rows[i - first_strip] =
            terms_.rows(x, strip(i), segment, copied + (i - first_strip) * terms_.strip_floats());
      }
      for (int64_t panel = columns.first_panel; panel < columns.last_panel; ++panel) {
        float* c = sums + (panel - columns.first_panel) * table_.panel;
        for (int64_t i = first_strip; i < last_strip; ++i) {
          const int64_t places = strip(i).count;
          multiply(rows[i - first_strip], segment.depth, b + panel * segment.depth * table_.panel,
                   places, std::min<int64_t>(table_.panel, conv_.outputs - panel * table_.panel), c,
                   step, s > 0);
          c += places * step;
        }
      }
    }
    for (int64_t i = first_strip; i < last_strip; ++i) count += strip(i).count;
    if (terms_.segments().empty()) {
      for (int64_t i = 0; i < count; ++i) std::fill_n(sums + i * step, columns.channels, 0.0f);
    }
    epilogue_.run(sums, step, image, place, count, channel, columns.channels, inputs, outputs,
                  slot + slot_bytes() - epilogue_.scratch_bytes());
  }

  // One panel for the places of a strip, in tiles that are as even as can be.
  void multiply(const Rows& rows, int64_t depth, const float* b, int64_t places, int64_t columns,
                float* c, int64_t step, bool accumulate) const {
    if (rows.a == nullptr) {
      for (int64_t i = 0; i < places && !accumulate; ++i) std::fill_n(c + i * step, columns, 0.0f);
      return;
    }
    const int64_t tiles = (places + table_.tile_rows - 1) / table_.tile_rows;
    const int64_t most = (places + tiles - 1) / tiles;
    for (int64_t i = 0; i < places; i += most) {
      table_.row_tile(static_cast<int>(std::min(most, places - i)), depth, rows.a + i * rows.lda,
                      rows.lda, b, columns, c + i * step, step, accumulate);
    }
  }

  static constexpr int64_t kLeastPlaces = 24;
  static constexpr int64_t kMostPlaces = 120;

  const simd::Table& table_;
  ConvProblem conv_;
  PlaceEpilogue epilogue_;
  PlaceTerms terms_;
  int64_t k_;       // terms of a place
  int64_t panels_;  // of a group's output channels
  int64_t strips_of_line_ = 1;
  int64_t strip_places_ = 0;
  int64_t block_strips_ = 0;
  int64_t place_blocks_ = 0;
  int64_t block_panels_ = 0;
  int64_t column_blocks_ = 0;
  int slots_ = 1;
  std::shared_ptr<const Buffer> weight_;
};

// The sums of one channel over its taps, many channels at once.
class PreparedDepthwise final : public PreparedKernel {
 public:
  PreparedDepthwise(const KernelProblem& problem, KernelCache& cache)
      : table_(simd::best()), conv_(problem), epilogue_(problem) {
    if (problem.is_constant(1) && problem.key(1) != 0) {
      const std::string format =
          "taps first " + std::to_string(conv_.groups) + "x" + std::to_string(conv_.taps());
      weight_ = cache.packed(hash_combine(problem.key(1), hash_bytes(format)), weight_bytes(),
                             "a packed weight", [&](std::byte* to) {
                               pack(static_cast<const float*>(problem.constant(1)),
                                    reinterpret_cast<float*>(to));
                             });
    }
    const auto& [deep, high, wide] = conv_.axes;
    // Places along x that see all taps.
    const Range first = wide.kernel == 0 ? Range{0, 0} : wide.windows(0);
    const Range last = wide.kernel == 0 ? Range{0, 0} : wide.windows(wide.kernel - 1);
    inner_ = {std::max(first.begin, last.begin), std::min(first.end, last.end)};
    inner_.end = std::max(inner_.begin, inner_.end);
    lines_ = conv_.images * deep.out * high.out;
    slots_ = slots_within(kWorkspaceBytes, slot_bytes(), problem.threads);
  }

  int64_t workspace_bytes() const override {
    return slots_ * slot_bytes() + (weight_ == nullptr ? weight_bytes() : 0);
  }
  bool reads_input(size_t input) const override { return input != 1 || weight_ == nullptr; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           std::byte* workspace, ThreadPool& pool) const override {
    if (lines_ * line_floats() == 0) return;
    const auto* weights = reinterpret_cast<const float*>(workspace + slots_ * slot_bytes());
    if (weight_ != nullptr) {
      weights = reinterpret_cast<const float*>(weight_->data());
    } else {
      pack(static_cast<const float*>(inputs[1]),
           reinterpret_cast<float*>(workspace + slots_ * slot_bytes()));
    }
    const int64_t work = line_floats() * conv_.taps() / kFloatsATime + 1;
    const int64_t chunks =
        chunks_for(lines_, std::max<int64_t>(1, kChunkWork / work), pool.threads() * 4);
    Slots slots(workspace, slot_bytes(), slots_);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Slots::Slot slot(slots);
      const Range range = partition(lines_, chunks, chunk);
      Taps taps;
      for (int64_t line = range.begin; line < range.end; ++line) {
        compute(line, inputs, outputs, weights, taps, slot.data());
      }
    });
  }

 private:
  static constexpr int64_t kFloatsATime = 16;
  static constexpr int64_t kChunkWork = 4096;

  // Where the taps that a place sees find their elements and weights.
  struct Taps {
    std::vector<const float*> x, w;
    std::vector<const float*> some_x, some_w;
  };

  int64_t line_floats() const { return conv_.axes[2].out * conv_.groups; }
  int64_t weight_bytes() const { return conv_.groups * conv_.taps() * kFloat; }
  int64_t slot_bytes() const {
    const int64_t floats = epilogue_.in_place() ? 0 : line_floats();
    return (floats * kFloat + 63) / 64 * 64 + epilogue_.scratch_bytes();
  }

  void pack(const float* weights, float* to) const {
    const int64_t taps = conv_.taps();
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < conv_.groups; ++c)
        to[tap * conv_.groups + c] = weights[c * taps + tap];
    }
  }

  void compute(int64_t line, std::span<const void* const> inputs, std::span<void* const> outputs,
               const float* weights, Taps& taps, std::byte* slot) const {
    const auto& [deep, high, wide] = conv_.axes;
    const int64_t channels = conv_.groups;
    const int64_t y = line % high.out;
    const int64_t z = line / high.out % deep.out;
    const int64_t image = line / (high.out * deep.out);
    const float* x = static_cast<const float*>(inputs[0]) + image * conv_.plane() * channels;
    const int64_t place = (z * high.out + y) * wide.out;
    float* sums = reinterpret_cast<float*>(slot);
    if (epilogue_.in_place()) {
      sums = static_cast<float*>(outputs[0]) + (image * conv_.places() + place) * channels;
    }
    // Taps of the lines inside of the image, as the window at x = 0 would see them.
    taps.x.clear();
    taps.w.clear();
    const Range slices = deep.taps(z);
    const Range lines = high.taps(y);
    for (int64_t kz = slices.begin; kz < slices.end; ++kz) {
      for (int64_t ky = lines.begin; ky < lines.end; ++ky) {
        const int64_t row = (deep.position(z, kz) * high.in + high.position(y, ky)) * wide.in;
        const int64_t tap = (kz * high.kernel + ky) * wide.kernel;
        taps.x.push_back(x + row * channels);
        taps.w.push_back(weights + tap * channels);
      }
    }
    const auto rows = static_cast<int64_t>(taps.x.size());
    const auto run = [&](int64_t at, int places, const Range& seen) {
      taps.some_x.clear();
      taps.some_w.clear();
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t kx = seen.begin; kx < seen.end; ++kx) {
          taps.some_x.push_back(taps.x[static_cast<size_t>(row)] +
                                wide.position(at, kx) * channels);
          taps.some_w.push_back(taps.w[static_cast<size_t>(row)] + kx * channels);
        }
      }
      table_.tap_sums(places, taps.some_x.data(), wide.stride * channels, taps.some_w.data(),
                      static_cast<int64_t>(taps.some_x.size()), channels, sums + at * channels,
                      channels);
    };
    for (int64_t at = 0; at < wide.out;) {
      if (at < inner_.begin || at >= inner_.end) {
        run(at, 1, wide.taps(at));
        ++at;
        continue;
      }
      const int64_t places = std::min<int64_t>(simd::kMaxTapPlaces, inner_.end - at);
      run(at, static_cast<int>(places), {0, wide.kernel});
      at += places;
    }
    epilogue_.run(sums, channels, image, place, wide.out, 0, channels, inputs, outputs,
                  slot + slot_bytes() - epilogue_.scratch_bytes());
  }

  const simd::Table& table_;
  ConvProblem conv_;
  PlaceEpilogue epilogue_;
  Range inner_{};
  int64_t lines_ = 0;
  int slots_ = 1;
  std::shared_ptr<const Buffer> weight_;
};

std::optional<std::string> refuses_channels_last(const KernelProblem& problem) {
  if (auto reason = ConvProblem::refuses(problem, Format::kChannelsLast)) return reason;
  for (size_t i = 0; i < 2; ++i) {
    if (problem.inputs[i].dtype != DType::kFloat32) return "it takes f32";
  }
  return PlaceEpilogue::refuses(problem);
}

class ChannelsLastConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.channels_last"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    return refuses_channels_last(problem);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedChannelsLast>(problem, cache);
  }
};

class ChannelsLastDepthwise final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.depthwise_channels_last"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuses_channels_last(problem)) return reason;
    const int64_t groups = problem.attributes.integer("groups");
    if (problem.inputs[1].shape[1] != 1 || groups == 1 || problem.outputs[0].shape[1] != groups) {
      return "it takes groups of one channel and one output";
    }
    return std::nullopt;
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedDepthwise>(problem, cache);
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_channels_last_conv() {
  return std::make_shared<ChannelsLastConv>();
}
std::shared_ptr<const Kernel> make_channels_last_depthwise_conv() {
  return std::make_shared<ChannelsLastDepthwise>();
}

}  // namespace cleave::backend
