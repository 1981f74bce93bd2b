// What the GPU kernels of attention share: the problem as device code reads it.
#pragma once

#include <cstring>
#include <string>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/source_text.h"
#include "ops/attention/kernel_problem.h"

namespace cleave::backend {

// The bytes of attention.cuh's struct.
struct AttentionArgument {
  int64_t q[4], k[4], v[4], out[4], mask[4];
  int64_t batches, heads, rows, depth, keys, width;
  int64_t group, head_offset, kv_offset;
  int64_t visible;
  double scale;

  explicit AttentionArgument(const AttentionProblem& work)
      : batches(work.batches),
        heads(work.heads),
        rows(work.rows),
        depth(work.depth),
        keys(work.keys),
        width(work.width),
        group(work.group),
        head_offset(work.head_offset),
        kv_offset(work.kv_offset),
        visible(work.visible),
        scale(work.wide_scale) {
    const auto copy = [](const Operand4& from, int64_t(&to)[4]) {
      std::memcpy(to, from.strides, sizeof to);
    };
    copy(work.q, q);
    copy(work.k, k);
    copy(work.v, v);
    copy(work.out, out);
    copy(work.mask, mask);
  }
};

// What device code is compiled for, before `attention.cuh`: T, M, kHasMask and kCausal.
inline std::string attention_source(const AttentionProblem& work) {
  return "using T = " + device_type(work.q.type) +
         ";\nusing M = " + (work.has_mask ? device_type(work.mask.type) : "bool") +
         ";\nconstexpr bool kHasMask = " + std::to_string(work.has_mask) +
         ";\nconstexpr bool kCausal = " + std::to_string(work.causal) + ";\n" +
         std::string(device_source("attention"));
}

inline std::optional<std::string> refuse_types_of_attention(const KernelProblem& problem) {
  const DType type = problem.inputs[0].dtype;
  for (const TensorView* view : {&problem.inputs[1], &problem.inputs[2], &problem.outputs[0]}) {
    if (view->dtype != type) return "operands are of one type";
  }
  return std::nullopt;
}

}  // namespace cleave::backend
