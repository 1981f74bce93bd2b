// Depthwise convolutions of channels-last images: the sums of one channel over its taps, many
// channels at once.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/packed_weight.h"
#include "backend/cpu/simd/simd.h"
#include "backend/cpu/slots.h"
#include "base/thread_pool.h"
#include "ops/conv/cpu_channels_last.h"
#include "ops/conv/cpu_epilogue.h"
#include "ops/conv/cpu_place_epilogue.h"

namespace cleave::backend {
namespace {

constexpr int64_t kFloat = sizeof(float);

class PreparedDepthwise final : public PreparedKernel {
 public:
  PreparedDepthwise(const KernelProblem& problem, KernelCache& cache)
      : table_(simd::best()), conv_(problem), epilogue_(problem) {
    weight_.prepare(
        problem, cache,
        "taps first " + std::to_string(conv_.groups) + "x" + std::to_string(conv_.taps()),
        conv_.groups * conv_.taps() * kFloat,
        [&](const void* from, std::byte* to) { pack(from, to); });
    const auto& [deep, high, wide] = conv_.axes;
    // Places along x that see all taps.
    const Range first = wide.kernel == 0 ? Range{0, 0} : wide.windows(0);
    const Range last = wide.kernel == 0 ? Range{0, 0} : wide.windows(wide.kernel - 1);
    inner_ = {std::max(first.begin, last.begin), std::min(first.end, last.end)};
    inner_.end = std::max(inner_.begin, inner_.end);
    lines_ = conv_.images * deep.out * high.out;
    slots_ = slots_within(kConvWorkspaceBytes, slot_bytes(), problem.threads);
  }

  int64_t workspace_bytes() const override {
    return slots_ * slot_bytes() + weight_.workspace_bytes();
  }
  bool reads_input(size_t input) const override { return weight_.reads(input); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (lines_ * line_floats() == 0) return;
    const float* weights = weight_.floats(inputs[1], launch.workspace + slots_ * slot_bytes(),
                                          [&](const void* from, std::byte* to) { pack(from, to); });
    const int64_t work = line_floats() * conv_.taps() / kFloatsATime + 1;
    const int64_t chunks =
        chunks_for(lines_, std::max<int64_t>(1, kChunkWork / work), launch.pool.threads() * 4);
    Slots slots(launch.workspace, slot_bytes(), slots_);
    launch.pool.parallel_for(chunks, [&](int64_t chunk) {
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
  int64_t slot_bytes() const {
    const int64_t floats = epilogue_.in_place() ? 0 : line_floats();
    return (floats * kFloat + 63) / 64 * 64 + epilogue_.scratch_bytes();
  }

  void pack(const void* weights, std::byte* packed) const {
    const auto* from = static_cast<const float*>(weights);
    float* to = reinterpret_cast<float*>(packed);
    const int64_t taps = conv_.taps();
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < conv_.groups; ++c) to[tap * conv_.groups + c] = from[c * taps + tap];
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
  PackedWeight weight_;
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

std::shared_ptr<const Kernel> make_channels_last_depthwise_conv() {
  return std::make_shared<ChannelsLastDepthwise>();
}

}  // namespace cleave::backend
