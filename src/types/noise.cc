#include "types/noise.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "types/arithmetic.h"

namespace cleave {
namespace {

constexpr int64_t kBlock = 512;

template <class T>
void round_to(std::span<double> values) {
  for (double& value : values) value = widened<double>(narrowed<T>(value));
}

template <class T>
void store_as(std::span<const double> values, std::byte* into) {
  for (const double value : values) {
    const T element = narrowed<T>(value);
    std::memcpy(into, &element, sizeof element);
    into += sizeof element;
  }
}

}  // namespace

void make_noise_run(std::span<const DType> types, const NoiseBox& box, uint64_t first,
                    uint64_t stride, int64_t count, std::byte* into) {
  std::array<double, kBlock> block;
  const size_t size = size_of(types.back());
  for (int64_t done = 0; done < count; done += kBlock) {
    const std::span<double> values =
        std::span(block).first(static_cast<size_t>(std::min(kBlock, count - done)));
    uint64_t index = first + static_cast<uint64_t>(done) * stride;
    for (double& value : values) {
      value = noise_at(box.seed, index) * box.scale;
      index += stride;
    }
    for (const DType type : types.first(types.size() - 1)) {
      dispatch_floating(type, [&]<class T>() { round_to<T>(values); });
    }
    std::byte* const out = into + static_cast<size_t>(done) * size;
    dispatch_floating(types.back(), [&]<class T>() { store_as<T>(values, out); });
  }
}

void make_noise(const Noise& noise, std::span<const int64_t> shape, int64_t begin,
                std::span<std::byte> into) {
  const size_t size = size_of(noise.types.back());
  const auto end = begin + static_cast<int64_t>(into.size() / size);
  const size_t rank = shape.size();
  const int64_t width = rank == 0 ? 1 : shape[rank - 1];
  // Row by row; of each box the part of the row that lies in [begin, end).
  for (int64_t row = width == 0 ? 0 : begin / width; row * width < end; ++row) {
    const int64_t from = std::max(begin - row * width, int64_t{0});
    const int64_t to = std::min(end - row * width, width);
    for (const NoiseBox& box : noise.boxes) {
      uint64_t first = box.first;
      int64_t rest = row;
      bool is_inside = true;
      for (size_t d = rank < 1 ? 0 : rank - 1; d-- > 0 && is_inside;) {
        const int64_t at = rest % shape[d] - box.begin[d];
        rest /= shape[d];
        is_inside = at >= 0 && at < box.extent[d];
        first += static_cast<uint64_t>(at) * static_cast<uint64_t>(box.strides[d]);
      }
      if (!is_inside) continue;
      const int64_t box_begin = rank == 0 ? 0 : box.begin[rank - 1];
      const int64_t box_end = rank == 0 ? 1 : box_begin + box.extent[rank - 1];
      const uint64_t stride = rank == 0 ? 0 : static_cast<uint64_t>(box.strides[rank - 1]);
      const int64_t low = std::max(from, box_begin);
      const int64_t high = std::min(to, box_end);
      if (low >= high) continue;
      make_noise_run(noise.types, box, first + static_cast<uint64_t>(low - box_begin) * stride,
                     stride, high - low,
                     into.data() + static_cast<size_t>(row * width + low - begin) * size);
    }
  }
}

}  // namespace cleave
