// A channels-last convolution is a matrix product whose rows are places and whose columns are output
// channels. The terms of a place lie one behind the other in memory, line by line of its window:
// rows are copied together a block at a time, or read where they lie if there is one tap.
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
// Columns whose sums are made together, so that they stay in the second-level cache.
constexpr int64_t kMostColumns = 512;
// Rows that lie a multiple of this apart share a set of the first-level cache.
constexpr int64_t kAliasBytes = 4096;

// The terms of a block of places, in the order (tap along z, along y, along x, channel).
class PlaceRows {
 public:
  explicit PlaceRows(const ConvProblem& conv)
      : conv_(conv),
        all_channels_(conv.groups * conv.channels),
        // Taps side by side along x with their channels, or the channels of one tap.
        joined_(conv.groups == 1 && conv.axes[2].dilation == 1),
        line_(joined_ ? conv.axes[2].kernel * conv.channels : conv.channels) {
    const auto& [deep, high, wide] = conv.axes;
    const auto plain = [](const WindowAxis& axis) {
      return axis.kernel == 1 && axis.stride == 1 && axis.low == 0 && axis.in == axis.out;
    };
    direct_ = plain(deep) && plain(high) && plain(wide) &&
              all_channels_ * kFloat % kAliasBytes != 0;
  }

  // Rows are read where they lie.
  bool direct() const { return direct_; }
  int64_t step() const { return all_channels_; }

  // Terms [begin, begin + depth) of places [first, first + count) into rows `ld` apart. `x` is the
  // image's first element of the group.
  void copy(const float* x, int64_t first, int64_t count, int64_t begin, int64_t depth, float* to,
            int64_t ld) const {
    ImageIndex corners[kBlockRows];
    const auto& [deep, high, wide] = conv_.axes;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = first + i;
      const int64_t row = place / wide.out;
      corners[i] = {deep.position(row / high.out, 0), high.position(row % high.out, 0),
                    wide.position(place % wide.out, 0)};
    }
    for (int64_t done = 0; done < depth;) {
      const int64_t line = (begin + done) / line_;
      const int64_t skip = (begin + done) % line_;
      const int64_t length = std::min(line_ - skip, depth - done);
      copy_line(x, corners, count, line, skip, length, to + done, ld);
      done += length;
    }
  }

 private:
  void copy_line(const float* x, const ImageIndex* corners, int64_t count, int64_t line,
                 int64_t skip, int64_t length, float* to, int64_t ld) const {
    const auto& [deep, high, wide] = conv_.axes;
    const int64_t taps = joined_ ? 1 : wide.kernel;
    const int64_t tap_x = line % taps * wide.dilation;
    const int64_t tap_y = line / taps % high.kernel * high.dilation;
    const int64_t tap_z = line / taps / high.kernel * deep.dilation;
    for (int64_t i = 0; i < count; ++i, to += ld) {
      const int64_t z = corners[i][0] + tap_z;
      const int64_t y = corners[i][1] + tap_y;
      const int64_t at = corners[i][2] + tap_x;
      // Elements of the line inside of the image.
      int64_t begin = length;
      int64_t end = length;
      if (z >= 0 && z < deep.in && y >= 0 && y < high.in) {
        begin = std::clamp<int64_t>(-at * conv_.channels - skip, 0, length);
        end = std::clamp<int64_t>((wide.in - at) * conv_.channels - skip, begin, length);
        if (!joined_ && (at < 0 || at >= wide.in)) begin = end = length;
      }
      if (begin > 0) std::fill_n(to, begin, 0.0f);
      if (end > begin) {
        const float* from = x + ((z * high.in + y) * wide.in + at) * all_channels_ + skip;
        std::memcpy(to + begin, from + begin, static_cast<size_t>((end - begin) * kFloat));
      }
      if (end < length) std::fill_n(to + end, length - end, 0.0f);
    }
  }

  const ConvProblem& conv_;
  int64_t all_channels_;
  bool joined_;
  int64_t line_;  // elements
  bool direct_ = false;
};

class PreparedChannelsLast final : public PreparedKernel {
 public:
  PreparedChannelsLast(const KernelProblem& problem, KernelCache& cache)
      : table_(simd::best()),
        conv_(problem),
        epilogue_(problem),
        rows_(conv_),
        shape_{.k = conv_.channels * conv_.taps(),
               .n = conv_.outputs,
               .dtype = DType::kFloat32,
               .panel = table_.panel},
        places_(conv_.places()) {
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
  // Enough blocks for all threads: of places, and of columns where there are few places. The sums
  // do not depend on them.
  void choose_blocks(int threads) {
    const int64_t panels = shape_.panels();
    const int64_t others = conv_.images * conv_.groups;
    if (others == 0 || panels == 0 || places_ == 0) return;
    const int64_t wanted = threads == 1 ? 1 : threads * 3;
    const int64_t blocks = std::max((places_ + kBlockRows - 1) / kBlockRows,
                                    std::min((wanted + others - 1) / others,
                                             places_ / kLeastRows));
    const int64_t at_once = std::max<int64_t>(1, blocks);
    block_places_ = (places_ + at_once - 1) / at_once;
    place_blocks_ = (places_ + block_places_ - 1) / block_places_;
    const int64_t tasks = others * place_blocks_;
    const int64_t columns =
        std::max((shape_.n + kMostColumns - 1) / kMostColumns, (wanted + tasks - 1) / tasks);
    block_panels_ = (panels + std::min(columns, panels) - 1) / std::min(columns, panels);
    column_blocks_ = (panels + block_panels_ - 1) / block_panels_;
    slots_ = threads;
  }

  int64_t row_floats() const { return rows_.direct() ? 0 : kBlockDepth + 16; }
  int64_t sums_floats() const {
    return epilogue_.in_place() ? 0 : block_places_ * block_panels_ * table_.panel;
  }
  int64_t slot_bytes() const {
    const int64_t floats = block_places_ * row_floats() + sums_floats();
    return (floats * kFloat + 63) / 64 * 64 + epilogue_.scratch_bytes();
  }
  int64_t weight_bytes() const { return conv_.groups * shape_.bytes(); }

  // Panels of output channels; rows in the order of PlaceRows.
  void pack(const float* weights, float* to) const {
    const int64_t taps = conv_.taps();
    for (int64_t group = 0; group < conv_.groups; ++group) {
      const float* from = weights + group * conv_.outputs * shape_.k;
      float* panels = to + group * shape_.bytes() / kFloat;
      for (int64_t block = 0; block < shape_.blocks(); ++block) {
        for (int64_t panel = 0; panel < shape_.panels(); ++panel) {
          const int64_t first = panel * shape_.panel;
          const int64_t columns = std::min(shape_.panel, shape_.n - first);
          float* at = panels + shape_.offset(block, panel);
          for (int64_t p = 0; p < shape_.depth(block); ++p, at += shape_.panel) {
            const int64_t term = shape_.begin(block) + p;
            const int64_t element = term % conv_.channels * taps + term / conv_.channels;
            for (int64_t j = 0; j < columns; ++j) at[j] = from[(first + j) * shape_.k + element];
            std::fill(at + columns, at + shape_.panel, 0.0f);
          }
        }
      }
    }
  }

  void pack_weight(const KernelProblem& problem, KernelCache& cache) {
    const auto& shape = problem.inputs[1].shape;
    std::string format = "panels " + std::to_string(table_.panel) + " of " +
                         std::to_string(conv_.groups);
    for (const int64_t extent : shape) format += "x" + std::to_string(extent);
    weight_ = cache.packed(
        hash_combine(problem.key(1), hash_bytes(format)), weight_bytes(), "a packed weight",
        [&](std::byte* to) {
          pack(static_cast<const float*>(problem.constant(1)), reinterpret_cast<float*>(to));
        });
  }

  void compute(int64_t task, std::span<const void* const> inputs, std::span<void* const> outputs,
               const float* weights, std::byte* slot) const {
    const int64_t column_block = task % column_blocks_;
    task /= column_blocks_;
    const int64_t first = task % place_blocks_ * block_places_;
    task /= place_blocks_;
    const int64_t group = task % conv_.groups;
    const int64_t image = task / conv_.groups;
    const int64_t count = std::min(block_places_, places_ - first);
    const int64_t first_panel = column_block * block_panels_;
    const int64_t last_panel = std::min(first_panel + block_panels_, shape_.panels());
    const int64_t channel = group * conv_.outputs + first_panel * shape_.panel;
    const int64_t channels =
        std::min(last_panel * shape_.panel, shape_.n) - first_panel * shape_.panel;
    const int64_t all = conv_.groups * conv_.outputs;

    const float* x = static_cast<const float*>(inputs[0]) +
                     image * conv_.plane() * rows_.step() + group * conv_.channels;
    float* copied = reinterpret_cast<float*>(slot);
    float* sums = copied + block_places_ * row_floats();
    std::byte* scratch = slot + slot_bytes() - epilogue_.scratch_bytes();
    int64_t step = channels;
    if (epilogue_.in_place()) {
      sums = static_cast<float*>(outputs[0]) + (image * places_ + first) * all + channel;
      step = all;
    }
    const float* panels = weights + group * shape_.bytes() / kFloat;
    const int64_t tiles = (count + table_.tile_rows - 1) / table_.tile_rows;
    const int64_t tile = (count + tiles - 1) / tiles;
    if (shape_.blocks() == 0) {
      for (int64_t i = 0; i < count; ++i) std::fill_n(sums + i * step, channels, 0.0f);
    }
    for (int64_t block = 0; block < shape_.blocks(); ++block) {
      const int64_t depth = shape_.depth(block);
      const float* a = x + first * rows_.step() + shape_.begin(block);
      int64_t lda = rows_.step();
      if (!rows_.direct()) {
        // Not a multiple of what shares a set of the cache.
        lda = (depth + 15) / 16 * 16 + 16;
        rows_.copy(x, first, count, shape_.begin(block), depth, copied, lda);
        a = copied;
      }
      for (int64_t panel = first_panel; panel < last_panel; ++panel) {
        const float* b = panels + shape_.offset(block, panel);
        const int64_t at = panel * shape_.panel;
        const int64_t columns = std::min(shape_.panel, shape_.n - at);
        float* c = sums + at - first_panel * shape_.panel;
        for (int64_t i = 0; i < count; i += tile) {
          table_.row_tile(static_cast<int>(std::min(tile, count - i)), depth, a + i * lda, lda, b,
                          columns, c + i * step, step, block > 0);
        }
      }
    }
    epilogue_.run(sums, step, image, first, count, channel, channels, inputs, outputs, scratch);
  }

  static constexpr int64_t kLeastRows = 24;

  const simd::Table& table_;
  ConvProblem conv_;
  PlaceEpilogue epilogue_;
  PlaceRows rows_;
  PackedShape shape_;  // of the weights of a group
  int64_t places_;
  int64_t block_places_ = 0;
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
      const std::string format = "taps first " + std::to_string(conv_.groups) + "x" +
                                 std::to_string(conv_.taps());
      weight_ = cache.packed(
          hash_combine(problem.key(1), hash_bytes(format)), weight_bytes(), "a packed weight",
          [&](std::byte* to) {
            pack(static_cast<const float*>(problem.constant(1)), reinterpret_cast<float*>(to));
          });
    }
    const auto& [deep, high, wide] = conv_.axes;
    // Places along x that see all taps.
    const Range first = wide.kernel == 0 ? Range{0, 0} : wide.windows(0);
    const Range last = wide.kernel == 0 ? Range{0, 0} : wide.windows(wide.kernel - 1);
    inner_ = {std::max(first.begin, last.begin), std::min(first.end, last.end)};
    inner_.end = std::max(inner_.begin, inner_.end);
    lines_ = conv_.images * deep.out * high.out;
    slots_ = problem.threads;
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
      for (int64_t c = 0; c < conv_.groups; ++c) to[tap * conv_.groups + c] = weights[c * taps + tap];
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
          taps.some_x.push_back(taps.x[static_cast<size_t>(row)] + wide.position(at, kx) * channels);
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
