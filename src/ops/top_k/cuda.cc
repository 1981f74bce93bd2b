// top_k on GPUs: few elements of a line are selected, many are those of the line sorted whole.
#include <algorithm>
#include <bit>
#include <utility>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/line_split.h"
#include "backend/cuda/radix_sort.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kMostSelected = 2048;  // which the memory of a block holds
constexpr int64_t kSortedWhole = 512;    // elements of a line
// Of few long lines: blocks for a GPU, each with enough to choose from. capabilities_cuda.cc bounds
// the workspace by the same numbers.
constexpr int64_t kBlocks = 2048;
constexpr int64_t kLeastPart = 4096;    // elements
constexpr int64_t kPartOfSelected = 8;  // elements of a part for each that is selected
constexpr int64_t kFewSelected = 128;   // for which few threads do

AxisView view_of(const KernelProblem& problem) {
  return AxisView(problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis")));
}

std::optional<std::string> refuse_operand(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs.size() != 2) return "it gives values and indices";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the values are of another type";
  if (problem.outputs[1].dtype != DType::kInt64) return "indices are i64";
  const AxisView view = view_of(problem);
  if (problem.attributes.integer("k") > view.extent) return "k is more than there are elements";
  return refuse_strides(problem);
}

std::optional<std::string> refuse_select(const KernelProblem& problem) {
  if (auto reason = refuse_operand(problem)) return reason;
  const AxisView view = view_of(problem);
  if (view.extent > kMostIndex) return "its lines have more than 2^31 elements";
  if (view.outer * view.inner > kMostIndex) return "it has more than 2^31 lines";
  if (problem.attributes.integer("k") <= kMostSelected) return std::nullopt;
  return "it selects at most " + std::to_string(kMostSelected) + " elements";
}

// Selecting fewer is faster, and sorting takes much workspace.
std::optional<std::string> refuse_sort(const KernelProblem& problem) {
  if (auto reason = refuse_operand(problem)) return reason;
  if (problem.inputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  if (problem.attributes.integer("k") > kMostSelected) return std::nullopt;
  return "it sorts for more than " + std::to_string(kMostSelected) + " elements";
}

std::string order_source(const KernelProblem& problem) {
  const bool largest = problem.attributes.integer("largest", 1) != 0;
  return "using T = " + device_type(problem.inputs[0].dtype) +
         ";\nconstexpr bool kLargest = " + (largest ? "true" : "false") + ";\n" +
         std::string(device_source("reductions")) + std::string(device_source("top_order"));
}

// Bytes of what elements are ordered by.
int64_t key_bytes(DType type) { return size_of(type) == 8 ? 8 : 4; }

struct Selection {
  AxisView view;
  int64_t lines;
  int32_t k;
  cudaKernel_t whole = nullptr;
  cudaKernel_t parts = nullptr;
  cudaKernel_t join = nullptr;
  LineSplit split;
  int64_t keys_bytes = 0;  // of all candidates

  int64_t candidates() const { return split.splits * k; }  // of a line

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const {
    if (split.splits == 1) {
      const auto threads = std::clamp<int64_t>(power_of_two(view.extent), 32, 1024);
      launch_kernel(whole, {.blocks = lines, .threads = static_cast<int>(threads)}, launch.stream,
                    {&view.extent, &view.inner, &k, &inputs[0], &outputs[0], &outputs[1]});
      return;
    }
    const std::byte* keys = launch.workspace;
    const std::byte* places = launch.workspace + keys_bytes;
    launch_kernel(
        parts, {.blocks = lines * split.splits, .threads = k <= kFewSelected ? 256 : 1024},
        launch.stream,
        {&view.extent, &view.inner, &k, &split.splits, &split.part, &inputs[0], &keys, &places});
    const auto threads = std::clamp<int64_t>(power_of_two(candidates()), 32, 1024);
    launch_kernel(join, {.blocks = lines, .threads = static_cast<int>(threads)}, launch.stream,
                  {&view.extent, &view.inner, &k, &split.splits, &keys, &places, &inputs[0],
                   &outputs[0], &outputs[1]});
  }
};

CudaRun prepare_select(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  Selection work{.view = view,
                 .lines = view.outer * view.inner,
                 .k = static_cast<int32_t>(problem.attributes.integer("k"))};
  if (work.lines == 0 || work.k == 0) return CudaRun::nothing();
  const int64_t least = std::max(kLeastPart, kPartOfSelected * work.k);
  work.split = LineSplit::of(work.lines, view.extent, kBlocks, view.extent / least);
  const int64_t most = view.extent <= kSortedWhole
                           ? std::max<int64_t>(2, power_of_two(view.extent))
                           : std::clamp<int64_t>(power_of_two(2 * work.k), 256, kMostSelected);
  const std::string source = order_source(problem) +
                             "constexpr int kMost = " + std::to_string(most) + ";\n" +
                             std::string(device_source("top_k_select"));
  work.whole = device.modules().get(source, "top_k_select");
  work.parts = device.modules().get(source, "top_k_parts");
  work.join = device.modules().get(source, "top_k_join");
  const int64_t candidates = work.split.splits == 1 ? 0 : work.lines * work.candidates();
  work.keys_bytes = candidates * key_bytes(problem.inputs[0].dtype);
  return {[work](std::span<const void* const> inputs, std::span<void* const> outputs,
                 const Launch& launch) { work.run(inputs, outputs, launch); },
          work.keys_bytes + candidates * int64_t{sizeof(uint32_t)}};
}

// The first bit of a key that differs between elements of a type: those of 16 bits are widened.
int first_bit_of(DType type) {
  if (type == DType::kBFloat16) return 16;
  return type == DType::kFloat16 ? 13 : 0;
}

// All elements sorted by their keys, then, as the sort is stable, by their lines.
template <class Key>
struct Sorting {
  AxisView view;
  int64_t k;
  int first_bit;
  cudaKernel_t make_keys = nullptr;
  cudaKernel_t make_lines = nullptr;
  cudaKernel_t take = nullptr;
  Grid grid;       // of elements
  Grid take_grid;  // of results
  int64_t sort_bytes = 0;

  int64_t lines() const { return view.outer * view.inner; }
  int64_t elements() const { return lines() * view.extent; }
  static int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  int64_t keys_bytes() const { return padded(elements() * int64_t{sizeof(Key)}); }
  int64_t places_bytes() const { return padded(elements() * int64_t{sizeof(uint32_t)}); }
  int64_t workspace_bytes() const { return 2 * (keys_bytes() + places_bytes()) + sort_bytes; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const {
    SortBuffers<Key> buffers;
    std::byte* next = launch.workspace;
    for (Key*& keys : buffers.keys) {
      keys = reinterpret_cast<Key*>(std::exchange(next, next + keys_bytes()));
    }
    for (uint32_t*& places : buffers.values) {
      places = reinterpret_cast<uint32_t*>(std::exchange(next, next + places_bytes()));
    }
    const std::span<std::byte> room(next, static_cast<size_t>(sort_bytes));
    const int64_t all = elements();
    launch_kernel(
        make_keys, grid, launch.stream,
        {&all, &view.extent, &view.inner, &inputs[0], &buffers.keys[0], &buffers.values[0]});
    int at = radix_sort(buffers, 0, all, first_bit, 8 * static_cast<int>(sizeof(Key)), room,
                        launch.stream);
    if (lines() > 1) at = sort_by_line(buffers, at, room, launch.stream);
    const int64_t taken = lines() * k;
    launch_kernel(take, take_grid, launch.stream,
                  {&taken, &view.extent, &view.inner, &k, &buffers.values[at], &inputs[0],
                   &outputs[0], &outputs[1]});
  }

  // The keys are not needed any more.
  int sort_by_line(const SortBuffers<Key>& sorted, int at, std::span<std::byte> room,
                   StreamHandle stream) const {
    SortBuffers<uint32_t> buffers;
    for (int i = 0; i < 2; ++i) {
      buffers.keys[i] = reinterpret_cast<uint32_t*>(sorted.keys[i]);
      buffers.values[i] = sorted.values[i];
    }
    const int64_t all = elements();
    launch_kernel(make_lines, grid, stream,
                  {&all, &view.extent, &buffers.values[at], &buffers.keys[at]});
    const int bits = std::bit_width(static_cast<uint64_t>(lines() - 1));
    return radix_sort(buffers, at, all, 0, bits, room, stream);
  }
};

template <class Key>
CudaRun prepare_sort_of(const KernelProblem& problem, CudaDevice& device) {
  Sorting<Key> work{.view = view_of(problem),
                    .k = problem.attributes.integer("k"),
                    .first_bit = first_bit_of(problem.inputs[0].dtype)};
  if (work.lines() == 0) return CudaRun::nothing();
  const std::string source = order_source(problem) + std::string(device_source("top_k_sort"));
  work.make_keys = device.modules().get(source, "top_k_keys");
  work.make_lines = device.modules().get(source, "top_k_lines");
  work.take = device.modules().get(source, "top_k_take");
  work.grid = grid_for(work.elements(), device);
  work.take_grid = grid_for(work.lines() * work.k, device);
  work.sort_bytes =
      std::max(radix_sort_bytes<Key>(work.elements()), radix_sort_bytes<uint32_t>(work.elements()));
  return {[work](std::span<const void* const> inputs, std::span<void* const> outputs,
                 const Launch& launch) { work.run(inputs, outputs, launch); },
          work.workspace_bytes()};
}

CudaRun prepare_sort(const KernelProblem& problem, CudaDevice& device) {
  return key_bytes(problem.inputs[0].dtype) == 8 ? prepare_sort_of<uint64_t>(problem, device)
                                                 : prepare_sort_of<uint32_t>(problem, device);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_top_k_cuda() {
  return {
      std::make_shared<SimpleCudaKernel>("top_k", "top_k.select", refuse_select, prepare_select),
      std::make_shared<SimpleCudaKernel>("top_k", "top_k.sort", refuse_sort, prepare_sort)};
}

}  // namespace cleave::backend
