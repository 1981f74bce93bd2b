// A channels-last convolution is a matrix product whose rows are places and whose columns are
// output channels.
#include "ops/conv/cpu_channels_last.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/cpu/packed_weight.h"
#include "backend/cpu/slots.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_place_epilogue.h"
#include "ops/conv/cpu_place_terms.h"

namespace cleave::backend {
namespace {

constexpr int64_t kFloat = sizeof(float);
// Columns whose sums are made together, so that they stay in the second-level cache.
constexpr int64_t kMostColumns = 512;

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
    std::string format = "panels " + std::to_string(table_.panel) + " of " +
                         std::to_string(conv_.groups) + " by " +
                         std::to_string(conv_.axes[2].dilation == 1);
    for (const int64_t extent : problem.inputs[1].shape) format += "x" + std::to_string(extent);
    weight_.prepare(problem, cache, format, conv_.groups * group_floats() * kFloat,
                    [&](const void* from, std::byte* to) { pack(from, to); });
  }

  int64_t workspace_bytes() const override {
    return slots_ * slot_bytes() + weight_.workspace_bytes();
  }
  bool reads_input(size_t input) const override { return weight_.reads(input); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const int64_t tasks = conv_.images * conv_.groups * place_blocks_ * column_blocks_;
    if (tasks == 0) return;
    const float* weights = weight_.floats(inputs[1], launch.workspace + slots_ * slot_bytes(),
                                          [&](const void* from, std::byte* to) { pack(from, to); });
    Slots slots(launch.workspace, slot_bytes(), slots_);
    launch.pool.parallel_for(tasks, [&](int64_t task) {
      const Slots::Slot slot(slots);
      compute(task, inputs, outputs, weights, slot.data());
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
    slots_ = slots_within(kConvWorkspaceBytes, slot_bytes(), threads);
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

  // [group][segment][panel][term][column], zero beyond the last output channel.
  void pack(const void* weights, std::byte* panels) const {
    float* to = reinterpret_cast<float*>(panels);
    const int64_t taps = conv_.taps();
    for (int64_t group = 0; group < conv_.groups; ++group) {
      const float* from = static_cast<const float*>(weights) + group * conv_.outputs * k_;
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

    Columns columns{column_block * block_panels_, 0, 0};
    columns.last_panel = std::min(columns.first_panel + block_panels_, panels_);
    columns.channels = std::min(columns.last_panel * table_.panel, conv_.outputs) -
                       columns.first_panel * table_.panel;
    const int64_t channel = group * conv_.outputs + columns.first_panel * table_.panel;
    const int64_t all = conv_.groups * conv_.outputs;
    Strip strips[kMostPlaces];
    const int64_t strip_count = std::min(
        block_strips_, conv_.axes[0].out * conv_.axes[1].out * strips_of_line_ - first_strip);
    int64_t count = 0;
    for (int64_t i = 0; i < strip_count; ++i) {
      strips[i] = strip(first_strip + i);
      count += strips[i].count;
    }
    const int64_t place =
        (strips[0].z * conv_.axes[1].out + strips[0].y) * conv_.axes[2].out + strips[0].x;

    const float* x = static_cast<const float*>(inputs[0]) + image * conv_.plane() * terms_.step() +
                     group * conv_.channels;
    float* copied = reinterpret_cast<float*>(slot);
    float* sums = copied + copied_floats();
    int64_t step = columns.channels;
    if (epilogue_.in_place()) {
      sums = static_cast<float*>(outputs[0]) + (image * conv_.places() + place) * all + channel;
      step = all;
    }
    const float* group_weights = weights + group * group_floats();
    for (size_t s = 0; s < terms_.segments().size(); ++s) {
      const Segment& segment = terms_.segments()[s];
      const float* b = group_weights + segment.offset * panels_ * table_.panel;
      Rows rows[kMostPlaces];
      for (int64_t i = 0; i < strip_count; ++i) {
        rows[i] = terms_.rows(x, strips[i], segment, copied + i * terms_.strip_floats());
      }
      for (int64_t panel = columns.first_panel; panel < columns.last_panel; ++panel) {
        float* c = sums + (panel - columns.first_panel) * table_.panel;
        const int64_t width = std::min<int64_t>(table_.panel, conv_.outputs - panel * table_.panel);
        for (int64_t i = 0; i < strip_count; ++i) {
          multiply(rows[i], segment.depth, b + panel * segment.depth * table_.panel,
                   strips[i].count, width, c, step, s > 0);
          c += strips[i].count * step;
        }
      }
    }
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
  PackedWeight weight_;
};

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

}  // namespace

std::optional<std::string> refuses_channels_last(const KernelProblem& problem) {
  if (auto reason = ConvProblem::refuses(problem, Format::kChannelsLast)) return reason;
  for (size_t i = 0; i < 2; ++i) {
    if (problem.inputs[i].dtype != DType::kFloat32) return "it takes f32";
  }
  return PlaceEpilogue::refuses(problem);
}

std::shared_ptr<const Kernel> make_channels_last_conv() {
  return std::make_shared<ChannelsLastConv>();
}

}  // namespace cleave::backend
