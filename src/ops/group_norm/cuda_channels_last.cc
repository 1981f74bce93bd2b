#include "ops/group_norm/cuda_channels_last.h"

#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "ops/group_norm/cuda_function.h"
#include "types/window.h"

namespace cleave::backend {
namespace {

constexpr int64_t kMostThreads = 512;  // along a slice
constexpr int64_t kMostBlocks = 1024;
constexpr int64_t kLeastBlocks = 256;    // rather than that threads hold all that they can
constexpr int64_t kMostChunks = 128;     // of an image, which every block goes through
constexpr int64_t kLargeGroup = 512;     // channels: such a group is a slice
constexpr int64_t kSliceVectors = 8192;  // of an image, that one block goes through

// How blocks are made: where each has a chunk of a slice, and where it has a slice.
struct BlockForm {
  int64_t threads;  // of a block, where a slice has not more vectors
  int64_t held;     // vectors that a thread reads once
  int64_t line;     // vectors of a place, where a slice may have so many
};
constexpr BlockForm kOfChunks = {.threads = 384, .held = 4, .line = 16};
constexpr BlockForm kOfSlices = {.threads = 640, .held = 8, .line = 1};

// The bytes of normalise_channels.cuh's struct.
struct ChannelsArgument {
  int64_t places;
  int64_t channels;
  int64_t slice;
  int64_t group;
  int64_t chunk;
  int32_t slices;
  int32_t chunks;
  int32_t rows;
  double epsilon;
};

// The work in vectors of channels.
struct Form {
  ChannelsArgument argument = {};
  Grid grid;
  cudaKernel_t statistics = nullptr;  // null where a block has a slice
  cudaKernel_t normalise = nullptr;
};

bool is_one_group(const ChannelsArgument& work) { return work.group >= kLargeGroup; }

// Whole groups and whole vectors, no more of them than fill memory's lines: a block goes through
// the statistics of all its groups.
int64_t slice_channels(const ChannelsArgument& work, int64_t vector, const BlockForm& block) {
  if (is_one_group(work)) return work.group;
  int64_t slice = std::lcm(work.group, vector);
  for (int64_t more = 2; more * slice <= work.channels; ++more) {
    const int64_t larger = more * slice;
    if (larger / vector > block.line) break;
    if (work.channels % larger == 0) {
      slice = larger;
      more = 1;
    }
  }
  return slice;
}

// Slices, and a block's threads: one for each vector of the slice, and so many rows of them.
void cut_slices(ChannelsArgument& work, int64_t vector, const BlockForm& block) {
  work.slice = slice_channels(work, vector, block);
  work.slices = static_cast<int32_t>(work.channels / work.slice);
  work.rows = 1;
  const int64_t columns = std::min(work.slice / vector, kMostThreads);
  while (columns * work.rows * 2 <= block.threads) work.rows *= 2;
}

// Chunks of places: each thread has as many as it can hold, fewer where there are few blocks then
// and more where there are many.
void cut_chunks(ChannelsArgument& work, int64_t images) {
  const auto parts = [&](int64_t of) { return std::max<int64_t>(1, of / (images * work.slices)); };
  const int64_t rows = (work.places + work.rows - 1) / work.rows;
  const int64_t wanted =
      std::max((rows + kOfChunks.held - 1) / kOfChunks.held, parts(kLeastBlocks));
  const int64_t chunks = std::min({wanted, parts(kMostBlocks), kMostChunks, rows});
  work.chunk = (rows + chunks - 1) / chunks * work.rows;
  work.chunks = static_cast<int32_t>((work.places + work.chunk - 1) / work.chunk);
}

Form form_of(ChannelsArgument work, int64_t vector, const BlockForm& block,
             const KernelProblem& problem, CudaDevice& device) {
  const DType type = problem.inputs[0].dtype;
  Form form;
  cut_slices(work, vector, block);
  form.argument = work;
  const int64_t columns = std::min(work.slice / vector, kMostThreads);
  const int64_t threads = (columns * work.rows + 31) / 32 * 32;
  const auto size = static_cast<int64_t>(type == DType::kFloat64 ? sizeof(double) : sizeof(float));
  const int64_t groups = work.slice / work.group;
  const int64_t sums = is_one_group(work) ? 0 : threads * vector;
  form.grid = {.blocks = problem.inputs[0].shape[0] * work.slices * work.chunks,
               .threads = static_cast<int>(threads),
               .shared_bytes = static_cast<int>((2 * groups + sums) * size)};
  const auto constant = [](const char* name, int64_t value) {
    return std::string("constexpr int ") + name + " = " + std::to_string(value) + ";\n";
  };
  const std::string source =
      "using T = " + device_type(type) + ";\n" + constant("kVector", vector) +
      constant("kThreads", threads) + constant("kHeld", block.held) +
      constant("kMostChunks", kMostChunks) +
      "constexpr bool kOneGroup = " + (is_one_group(work) ? "true" : "false") + ";\n" +
      finish_source(problem) + std::string(device_source("reductions")) +
      std::string(device_source("normalise_channels"));
  if (work.chunks == 1) {
    form.normalise = device.modules().get(source, "normalise_slices");
    return form;
  }
  form.statistics = device.modules().get(source, "channel_statistics");
  form.normalise = device.modules().get(source, "normalise_channels");
  return form;
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_group_norm(problem)) return reason;
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  if (x.rank() <= kImage) return "there is no image";
  if (!x.has_format(Format::kChannelsLast) || !y.has_format(Format::kChannelsLast)) {
    return "operand and result are not channels-last";
  }
  if (!problem.inputs[1].is_dense() || !problem.inputs[2].is_dense()) {
    return "scale or bias is not dense";
  }
  if (x.elements() > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const TensorView& x = problem.inputs[0];
  if (x.elements() == 0) return CudaRun::nothing();
  const int64_t images = x.shape[0];
  ChannelsArgument work{.places = x.elements() / (x.shape[0] * x.shape[1]),
                        .channels = x.shape[1],
                        .group = problem.attributes.integer("group_channels"),
                        .epsilon = problem.attributes.real("epsilon")};
  const auto size = static_cast<int64_t>(size_of(x.dtype));
  const int64_t of_group = is_one_group(work) ? work.group : work.channels;
  const int64_t most =
      piece_elements(x.dtype, {&x, &problem.inputs[1], &problem.inputs[2], &problem.outputs[0]});
  const int64_t vector = std::gcd(most, of_group);
  BlockForm block = kOfSlices;
  cut_slices(work, vector, block);
  work.chunk = work.places;
  work.chunks = 1;
  if (work.places * work.slice / vector > kSliceVectors) {
    block = kOfChunks;
    cut_slices(work, vector, block);
    cut_chunks(work, images);
  }
  const Form form = form_of(work, vector, block, problem, device);
  const int64_t bytes = images * (work.channels / work.group) * work.chunks * 2 *
                        std::max<int64_t>(size, int64_t{sizeof(float)});
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
            check_aligned({inputs[0], inputs[1], inputs[2], outputs[0]}, vector * size);
            if (form.statistics == nullptr) {
              launch_kernel(form.normalise, form.grid, launch.stream,
                            {&form.argument, &inputs[0], &inputs[1], &inputs[2], &outputs[0]});
              return;
            }
            launch_kernel(form.statistics, form.grid, launch.stream,
                          {&form.argument, &inputs[0], &launch.workspace});
            launch_kernel(form.normalise, form.grid, launch.stream,
                          {&form.argument, &launch.workspace, &inputs[0], &inputs[1], &inputs[2],
                           &outputs[0]});
          },
          bytes};
}

}  // namespace

std::shared_ptr<const Kernel> make_channels_last_group_norm_cuda() {
  return std::make_shared<SimpleCudaKernel>("group_norm", "group_norm.channels_last", refuses,
                                            prepare);
}

}  // namespace cleave::backend
