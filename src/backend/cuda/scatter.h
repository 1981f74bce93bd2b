// What kernels that scatter have in common.
#pragma once

#include <string>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/source_text.h"
#include "types/indexing.h"

namespace cleave::backend {

inline bool is_half(DType type) { return type == DType::kFloat16 || type == DType::kBFloat16; }

// What device code is compiled for: T, A, I, kReplaces and kReduce, and what names them.
inline std::string scatter_source(DType type, DType index_type, const Attributes& attributes) {
  const auto reduce = scatter_reduction(attributes);
  const std::string element =
      reduce ? device_type(type) : piece_type(static_cast<int64_t>(size_of(type)));
  const char* op = "kSum";
  if (reduce == ReduceOp::kMax) op = "kMax";
  if (reduce == ReduceOp::kMin) op = "kMin";
  if (reduce == ReduceOp::kProd) op = "kProd";
  return "using T = " + element + ";\nusing A = Working<T>;\nusing I = " + device_type(index_type) +
         ";\nconstexpr bool kReplaces = " + (reduce ? "false" : "true") +
         ";\nconstexpr ReduceOp kReduce = " + op + ";\n" + std::string(device_source("indices")) +
         std::string(device_source("scatter"));
}

}  // namespace cleave::backend
