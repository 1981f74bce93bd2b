#include "ops/conv/cpu_patches.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backend/cpu/float_rows.h"

namespace cleave::backend {

void Patches::set_places(int64_t first, int64_t count) {
  const int64_t panel = shape_.panel;
  runs_.assign(static_cast<size_t>((count + panel - 1) / panel), {});
  const int64_t width = problem_.axes[2].out;
  for (int64_t at = 0; at < count;) {
    const int64_t place = first + at;
    const int64_t x = place % width;
    const int64_t row = place / width;
    const int64_t column = at % panel;
    const int64_t length = std::min({width - x, panel - column, count - at});
    runs_[static_cast<size_t>(at / panel)].push_back(
        {column, length, {row / problem_.axes[1].out, row % problem_.axes[1].out, x}});
    at += length;
  }
}

void Patches::pack(const std::byte* x, int64_t k_block, float* panels) const {
  if (problem_.x_type == DType::kFloat32) {
    pack_as(reinterpret_cast<const float*>(x), k_block, panels);
  } else {
    pack_as(reinterpret_cast<const uint16_t*>(x), k_block, panels);
  }
}

template <class T>
void Patches::pack_as(const T* x, int64_t k_block, float* panels) const {
  const WindowAxes& axes = problem_.axes;
  const int64_t begin = shape_.begin(k_block);
  const int64_t depth = shape_.depth(k_block);
  const int64_t plane = problem_.plane();
  const int64_t tap_count = problem_.taps();
  for (const std::vector<Run>& runs : runs_) {
    int64_t channel = begin / tap_count;
    const int64_t tap = begin % tap_count;
    ImageIndex at = {tap / (axes[1].kernel * axes[2].kernel), tap / axes[2].kernel % axes[1].kernel,
                     tap % axes[2].kernel};
    for (int64_t p = 0; p < depth; ++p) {
      float* to = panels + p * shape_.panel;
      if constexpr (std::is_same_v<T, float>) {
        pack_row(x + channel * plane, at, runs, to);
      } else {
        T bits[simd::kMaxPanel];
        pack_row(x + channel * plane, at, runs, bits);
        as_floats(table_, problem_.x_type, bits, 0, shape_.panel, to);
      }
      if (++at[2] < axes[2].kernel) continue;
      at[2] = 0;
      if (++at[1] < axes[1].kernel) continue;
      at[1] = 0;
      if (++at[0] < axes[0].kernel) continue;
      at[0] = 0;
      ++channel;
    }
    panels += depth * shape_.panel;
  }
}

template <class T>
void Patches::pack_row(const T* plane, const ImageIndex& tap, const std::vector<Run>& runs,
                       T* to) const {
  const auto& [deep, high, wide] = problem_.axes;
  int64_t filled = 0;
  for (const Run& run : runs) {
    T* into = to + run.column;
    filled = run.column + run.count;
    const int64_t z = deep.position(run.place[0], tap[0]);
    const int64_t y = high.position(run.place[1], tap[1]);
    if (z < 0 || z >= deep.in || y < 0 || y >= high.in) {
      std::fill_n(into, run.count, T{});
      continue;
    }
    const T* row = plane + (z * high.in + y) * wide.in;
    const int64_t step = wide.stride;
    const int64_t x = wide.position(run.place[2], tap[2]);
    const bool inside = x >= 0 && x + (run.count - 1) * step < wide.in;
    if (inside && step == 1) {
      std::memcpy(into, row + x, static_cast<size_t>(run.count) * sizeof(T));
    } else if (inside) {
      for (int64_t i = 0; i < run.count; ++i) into[i] = row[x + i * step];
    } else {
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t at = x + i * step;
        into[i] = at >= 0 && at < wide.in ? row[at] : T{};
      }
    }
  }
  std::fill(to + filled, to + shape_.panel, T{});
}

}  // namespace cleave::backend
