// How the threads of a GPU hold a row in registers (device/row_part.cuh), so that a row-wise op
// reads it once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>

#include "backend/cuda/launch.h"
#include "backend/cuda/simple_kernel.h"

namespace cleave::backend {

struct RowForm {
  int64_t vector = 1;  // elements that are read at once
  int64_t pieces = 1;  // vectors a thread
  int threads = 32;    // a row
  bool whole_block = false;

  // Of rows of `length` elements, of which at most `most` are read at once; nothing where a row is
  // too long.
  static std::optional<RowForm> of(int64_t length, int64_t most) {
    RowForm form{.vector = std::gcd(most, length)};
    form.whole_block = length > 32 * 32;
    if (form.whole_block) {
      // 8 elements a thread, more where there are not so many threads.
      const int64_t warps = std::clamp<int64_t>((length / 8 + 31) / 32, 2, 32);
      form.threads = static_cast<int>(warps * 32);
    }
    const int64_t at_once = form.threads * form.vector;
    form.pieces = power_of_two((length + at_once - 1) / at_once);
    if (form.pieces * form.vector > (form.whole_block ? 16 : 32)) return std::nullopt;
    return form;
  }

  Grid grid(int64_t rows) const {
    if (whole_block) return {.blocks = rows, .threads = threads};
    constexpr int64_t kRows = 4;  // a block
    return {.blocks = (rows + kRows - 1) / kRows, .threads = 32 * static_cast<int>(kRows)};
  }

  // What stands before device code.
  std::string prefix() const {
    return "constexpr int kVector = " + std::to_string(vector) +
           ";\nconstexpr int kPieces = " + std::to_string(pieces) +
           ";\nconstexpr bool kWholeBlock = " + (whole_block ? "true" : "false") + ";\n";
  }
};

}  // namespace cleave::backend
