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
    constexpr int64_t kElements = 16;  // that a thread of a block holds
    RowForm form{.vector = std::gcd(most, length)};
    form.whole_block = length > 32 * 32;
    if (form.whole_block) {
      const int64_t warps = std::clamp<int64_t>((length / kElements + 31) / 32, 2, 32);
      form.threads = static_cast<int>(warps * 32);
    } else {
      form.threads = static_cast<int>(std::min<int64_t>(power_of_two(length / form.vector), 32));
    }
    const int64_t at_once = form.threads * form.vector;
    form.pieces = power_of_two((length + at_once - 1) / at_once);
    if (form.pieces * form.vector > (form.whole_block ? kElements : 32)) return std::nullopt;
    return form;
  }

  int block_threads() const { return whole_block ? threads : 128; }
  Grid grid(int64_t rows) const {
    const int64_t at_once = block_threads() / threads;
    return {.blocks = (rows + at_once - 1) / at_once, .threads = block_threads()};
  }

  // What stands before device code.
  std::string prefix() const {
    return "constexpr int kVector = " + std::to_string(vector) +
           ";\nconstexpr int kPieces = " + std::to_string(pieces) +
           ";\nconstexpr bool kWholeBlock = " + (whole_block ? "true" : "false") +
           ";\nconstexpr int kThreads = " + std::to_string(block_threads()) +
           ";\nconstexpr int kLanes = " + std::to_string(std::min(threads, 32)) + ";\n";
  }
};

}  // namespace cleave::backend
