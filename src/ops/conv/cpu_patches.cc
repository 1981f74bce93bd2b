#include "ops/conv/cpu_patches.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace cleave::backend {

void Patches::set_places(int64_t first, int64_t count) {
  const int64_t panel = shape_.panel;
  runs_.assign(static_cast<size_t>((count + panel - 1) / panel), {});
  const int64_t width = problem_.out[2];
  for (int64_t at = 0; at < count;) {
    const int64_t place = first + at;
    const int64_t x = place % width;
    const int64_t row = place / width;
    const int64_t column = at % panel;
    const int64_t length = std::min({width - x, panel - column, count - at});
    runs_[static_cast<size_t>(at / panel)].push_back(
        {column, length, {row / problem_.out[1], row % problem_.out[1], x}});
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
  const Place& taps = problem_.taps;
  const int64_t begin = shape_.begin(k_block);
  const int64_t depth = shape_.depth(k_block);
  const int64_t plane = volume(problem_.in);
  const int64_t tap_count = volume(taps);
  for (const std::vector<Run>& runs : runs_) {
    int64_t channel = begin / tap_count;
    const int64_t tap = begin % tap_count;
    Place at = {tap / (taps[1] * taps[2]), tap / taps[2] % taps[1], tap % taps[2]};
    for (int64_t p = 0; p < depth; ++p) {
      float* to = panels + p * shape_.panel;
      if constexpr (std::is_same_v<T, float>) {
        pack_row(x + channel * plane, at, runs, to);
      } else {
        T bits[simd::kMaxPanel];
        pack_row(x + channel * plane, at, runs, bits);
        as_floats(bits, to);
      }
      if (++at[2] < taps[2]) continue;
      at[2] = 0;
      if (++at[1] < taps[1]) continue;
      at[1] = 0;
      if (++at[0] < taps[0]) continue;
      at[0] = 0;
      ++channel;
    }
    panels += depth * shape_.panel;
  }
}

template <class T>
void Patches::pack_row(const T* plane, const Place& tap, const std::vector<Run>& runs,
                       T* to) const {
  const ConvProblem& p = problem_;
  int64_t filled = 0;
  for (const Run& run : runs) {
    T* into = to + run.column;
    filled = run.column + run.count;
    const int64_t z = run.place[0] * p.stride[0] + tap[0] * p.dilation[0] - p.low[0];
    const int64_t y = run.place[1] * p.stride[1] + tap[1] * p.dilation[1] - p.low[1];
    if (z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1]) {
      std::fill_n(into, run.count, T{});
      continue;
    }
    const T* row = plane + (z * p.in[1] + y) * p.in[2];
    const int64_t step = p.stride[2];
    const int64_t x = run.place[2] * step + tap[2] * p.dilation[2] - p.low[2];
    const bool inside = x >= 0 && x + (run.count - 1) * step < p.in[2];
    if (inside && step == 1) {
      std::memcpy(into, row + x, static_cast<size_t>(run.count) * sizeof(T));
    } else if (inside) {
      for (int64_t i = 0; i < run.count; ++i) into[i] = row[x + i * step];
    } else {
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t at = x + i * step;
        into[i] = at >= 0 && at < p.in[2] ? row[at] : T{};
      }
    }
  }
  std::fill(to + filled, to + shape_.panel, T{});
}

void Patches::as_floats(const uint16_t* bits, float* to) const {
  (problem_.x_type == DType::kFloat16 ? table_.half_to_float : table_.bfloat16_to_float)(
      bits, to, shape_.panel);
}

}  // namespace cleave::backend
