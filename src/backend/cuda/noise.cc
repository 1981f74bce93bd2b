#include "backend/cuda/noise.h"

#include <algorithm>
#include <string>
#include <vector>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/index_space.h"

namespace cleave::backend {
namespace {

enum Operand : size_t { kNoise, kTensor };  // of the space of a box

// A box, or a part of one that device code can count the elements of.
struct Part {
  IndexSpace space;
  uint64_t first;  // noise's index of its first element
  int64_t offset;  // in the tensor, in elements
};

void add_parts(const NoiseBox& box, const std::vector<int64_t>& extent, uint64_t first,
               int64_t offset, const std::vector<int64_t>& strides, std::vector<Part>& parts) {
  int64_t elements = 1;
  for (const int64_t e : extent) elements *= e;
  if (elements <= kMostIndex) {
    parts.push_back({IndexSpace(extent, {box.strides, strides}), first, offset});
    return;
  }
  const auto d =
      static_cast<size_t>(std::max_element(extent.begin(), extent.end()) - extent.begin());
  std::vector<int64_t> half = extent;
  half[d] = extent[d] / 2;
  add_parts(box, half, first, offset, strides, parts);
  const int64_t begin = half[d];
  half[d] = extent[d] - begin;
  add_parts(box, half, first + static_cast<uint64_t>(begin) * static_cast<uint64_t>(box.strides[d]),
            offset + begin * strides[d], strides, parts);
}

std::string source_of(const std::vector<DType>& types) {
  std::string source = "using T = " + device_type(types.back()) +
                       ";\n__device__ inline double rounded(double value) {\n";
  for (const DType type : types) {
    if (type == DType::kFloat64) continue;
    const std::string name = device_type(type);
    source += "  value = double(widen(narrow<" + name + ">(float(value))));\n";
  }
  return source + "  return value;\n}\n" + std::string(device_source("noise"));
}

}  // namespace

bool make_noise_on(CudaDevice& device, const Noise& noise, std::span<const int64_t> shape, void* to,
                   StreamHandle stream) {
  const std::vector<int64_t> strides =
      TensorView::dense(noise.types.back(), {shape.begin(), shape.end()}).strides;
  std::vector<std::pair<const NoiseBox*, Part>> work;
  for (const NoiseBox& box : noise.boxes) {
    int64_t offset = 0;
    for (size_t d = 0; d < shape.size(); ++d) offset += box.begin[d] * strides[d];
    std::vector<Part> parts;
    add_parts(box, box.extent, box.first, offset, strides, parts);
    for (Part& part : parts) {
      if (refuse_space(part.space)) return false;
      work.emplace_back(&box, std::move(part));
    }
  }
  if (work.empty()) return true;
  const cudaKernel_t kernel = device.modules().get(source_of(noise.types), "noise");
  const size_t size = size_of(noise.types.back());
  for (const auto& [box, part] : work) {
    const SpaceArgument space(part.space, part.space.extents.size());
    void* const at = static_cast<std::byte*>(to) + static_cast<size_t>(part.offset) * size;
    launch_kernel(kernel, grid_for(part.space.elements, device), stream,
                  {space.data(), &box->seed, &part.first, &box->scale, &at});
  }
  return true;
}

}  // namespace cleave::backend
