// Convolutions on the CPU: "conv.depthwise" where a group has one channel, "conv.tiled" as a matrix
// product for other float32 and 16-bit ones, "conv.plain" for the other types.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/packed_weight.h"
#include "backend/cpu/slots.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_channels_last.h"
#include "ops/conv/cpu_depthwise.h"
#include "ops/conv/cpu_epilogue.h"
#include "ops/conv/cpu_patches.h"
#include "ops/conv/cpu_plain.h"

namespace cleave::backend {
namespace {

// Panels that are packed at once, of all threads together.
constexpr int64_t kPackedBytes = int64_t{4} << 20;
constexpr int64_t kMostPackedBytes = 512 << 10;  // by one thread: what its cache holds
constexpr int64_t kLeastPackedBytes = 64 << 10;
constexpr int64_t kLeastPanels = 4;

// y = W · patches for each image and group, a block of places after the other.
class PreparedTiled final : public PreparedKernel {
 public:
  PreparedTiled(const KernelProblem& problem, KernelCache& cache)
      : table_(simd::best()),
        conv_(problem),
        epilogue_(problem, DType::kFloat32),
        shape_{.k = conv_.channels * conv_.taps(),
               .n = 0,
               .dtype = DType::kFloat32,
               .panel = table_.panel},
        rows_(table_, conv_.outputs, shape_),
        places_(conv_.places()) {
    choose_blocks(problem.threads);
    const std::string format = "rows " + std::to_string(table_.tile_rows) + " " +
                               std::to_string(conv_.groups) + "x" + std::to_string(conv_.outputs) +
                               "x" + std::to_string(shape_.k);
    weight_.prepare(problem, cache, format, conv_.groups * rows_.bytes(),
                    [&](const void* from, std::byte* to) { pack(from, to); });
  }

  int64_t workspace_bytes() const override {
    return slots_ * slot_bytes() + weight_.workspace_bytes();
  }
  bool reads_input(size_t input) const override { return weight_.reads(input); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (conv_.images * conv_.groups * conv_.outputs * places_ == 0) return;
    const float* weights = weight_.floats(inputs[1], launch.workspace + slots_ * slot_bytes(),
                                          [&](const void* from, std::byte* to) { pack(from, to); });
    Slots slots(launch.workspace, slot_bytes(), slots_);
    launch.pool.parallel_for(conv_.images * conv_.groups * place_blocks_, [&](int64_t task) {
      const Slots::Slot slot(slots);
      const int64_t group = task / place_blocks_;
      compute(group / conv_.groups, group % conv_.groups, task % place_blocks_, inputs, outputs,
              weights, slot.data());
    });
  }

 private:
  void choose_blocks(int threads) {
    const int64_t panel = table_.panel;
    const int64_t column = std::max<int64_t>(shape_.k, 1) * static_cast<int64_t>(sizeof(float));
    const int64_t bytes = std::clamp(kPackedBytes / threads, kLeastPackedBytes, kMostPackedBytes);
    const int64_t most = std::clamp(bytes / column / panel, kLeastPanels, kBlockColumns / panel);
    // Enough blocks for all threads, as even as can be. The sums of a place do not depend on them.
    const int64_t others = std::max<int64_t>(1, conv_.images * conv_.groups);
    const int64_t wanted = threads == 1 ? 1 : (threads * 3 + others - 1) / others;
    const int64_t panels = (places_ + panel - 1) / panel;
    const int64_t blocks =
        std::max({(panels + most - 1) / most, std::min(wanted, panels), int64_t{1}});
    block_places_ = (panels + blocks - 1) / blocks * panel;
    place_blocks_ = block_places_ == 0 ? 0 : (places_ + block_places_ - 1) / block_places_;
    const int64_t deep = kBlockDepth * block_places_ * static_cast<int64_t>(sizeof(float));
    blocks_at_once_ =
        std::clamp<int64_t>(deep == 0 ? 1 : bytes / deep, 1, std::max<int64_t>(1, shape_.blocks()));
    slots_ = slots_within(kPackedBytes, slot_bytes(), threads);
  }

  // What is packed at once, and the sums where they do not all fit into that.
  int64_t packed_floats() const {
    return std::min(shape_.k, blocks_at_once_ * kBlockDepth) * block_places_;
  }
  bool keeps_sums() const { return shape_.blocks() > blocks_at_once_; }
  int64_t slot_bytes() const {
    const int64_t floats = packed_floats() + (keeps_sums() ? conv_.outputs * block_places_ : 0);
    return (floats * static_cast<int64_t>(sizeof(float)) + 63) / 64 * 64;
  }

  void pack(const void* weights, std::byte* to) const {
    const auto size = static_cast<int64_t>(size_of(conv_.w_type));
    for (int64_t group = 0; group < conv_.groups; ++group) {
      const std::byte* from =
          static_cast<const std::byte*>(weights) + group * conv_.outputs * shape_.k * size;
      rows_.pack([&](int64_t row) { return from + row * shape_.k * size; }, conv_.w_type,
                 reinterpret_cast<float*>(to + group * rows_.bytes()));
    }
  }

  void compute(int64_t image, int64_t group, int64_t block, std::span<const void* const> inputs,
               std::span<void* const> outputs, const float* weights, std::byte* slot) const {
    const int64_t first = block * block_places_;
    const int64_t count = std::min(block_places_, places_ - first);
    Patches patches(conv_, table_, shape_);
    patches.set_places(first, count);
    const int64_t plane = conv_.plane() * static_cast<int64_t>(size_of(conv_.x_type));
    const std::byte* x = static_cast<const std::byte*>(inputs[0]) +
                         (image * conv_.groups + group) * conv_.channels * plane;
    float* panels = reinterpret_cast<float*>(slot);
    float* sums = panels + packed_floats();
    const float* rows = weights + group * rows_.bytes() / static_cast<int64_t>(sizeof(float));
    alignas(64) float c[kBlockRows * kBlockColumns];
    const int64_t width = patches.panels() * table_.panel;
    const int64_t k_blocks = shape_.blocks();
    for (int64_t k = 0; k < std::max<int64_t>(k_blocks, 1); k += blocks_at_once_) {
      const int64_t end = std::min(k + blocks_at_once_, k_blocks);
      float* to = panels;
      for (int64_t b = k; b < end; ++b) {
        patches.pack(x, b, to);
        to += shape_.depth(b) * width;
      }
      for (int64_t r = 0; r < rows_.blocks(); ++r) {
        const int64_t channel = group * conv_.outputs + rows_.first(r);
        float* at = keeps_sums() ? sums + rows_.first(r) * width : c;
        int64_t leading = width;
        float* direct = nullptr;
        if (!keeps_sums() && count == width && k_blocks > 0) {
          direct = epilogue_.direct(outputs, image, channel, first, leading);
          if (direct != nullptr) at = direct;
        }
        if (k_blocks == 0) std::fill_n(at, rows_.rows(r) * width, 0.0f);
        const float* from = panels;
        for (int64_t b = k; b < end; ++b) {
          rows_.multiply(rows, r, b, from, patches.panels(), at, leading, b > 0);
          from += shape_.depth(b) * width;
        }
        if (direct != nullptr || end < k_blocks) continue;
        for (int64_t i = 0; i < rows_.rows(r); ++i) {
          epilogue_.run(at + i * leading, image, channel + i, first, count, inputs, outputs);
        }
      }
    }
  }

  const simd::Table& table_;
  ConvProblem conv_;
  ConvEpilogue epilogue_;
  PackedShape shape_;  // of the patches; their number is that of the block at hand
  PackedRows rows_;
  int64_t places_;
  int64_t block_places_ = 0;
  int64_t place_blocks_ = 0;
  int64_t blocks_at_once_ = 1;  // k blocks that are packed together
  int slots_ = 1;
  PackedWeight weight_;
};

class TiledConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.tiled"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = ConvProblem::refuses(problem)) return reason;
    if (!is_float_storage(problem.inputs[0].dtype) ||
        problem.inputs[1].dtype != problem.inputs[0].dtype) {
      return "it takes f32, f16 and bf16";
    }
    return ConvEpilogue::refuses(problem, DType::kFloat32);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedTiled>(problem, cache);
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_conv_cpu() {
  return {make_channels_last_depthwise_conv(), make_channels_last_conv(), make_depthwise_conv(),
          std::make_shared<TiledConv>(), make_plain_conv()};
}

}  // namespace cleave::backend
