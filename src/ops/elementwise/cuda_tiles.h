// Chains of which operands lie in another order than the result, as an image whose channels lie
// innermost beside one whose points do: a block takes a tile, so that all are read along memory.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/cuda/cuda_device.h"
#include "backend/cuda/space.h"
#include "types/fused.h"

namespace cleave::backend {

// How an operand lies in matrices: without gaps along columns (as results do) or along rows, as
// one element for all columns, or in any other way.
enum class Lie : uint8_t { kAlongColumns, kAlongRows, kSame, kApart };

// The device code of such a chain, "elementwise_tiles", on `together` elements at once. `lies`: of
// inputs, then of outputs.
std::string tiled_chain_source(const FusedProgram& program, const std::vector<DType>& inputs,
                               const std::vector<DType>& outputs, const std::vector<Lie>& lies,
                               int64_t together, int64_t rank);

class TiledChain {
 public:
  // `space` and `alignments` (TensorView's) are those of the inputs and outputs, in this order; the
  // dimensions lie as those of the last output do. Nothing where that has no operand along another
  // dimension, or small ones.
  static std::optional<TiledChain> of(const FusedProgram& program, const IndexSpace& space,
                                      const std::vector<DType>& inputs,
                                      const std::vector<DType>& outputs,
                                      const std::vector<int64_t>& alignments, int64_t rank,
                                      CudaDevice& device);

  // `pointers`: of inputs and outputs.
  void run(const std::vector<const void*>& pointers, StreamHandle stream) const;

 private:
  struct Divided {
    Divisor row_tiles;
    Divisor column_tiles;
    int64_t rows;
    int64_t columns;
  };

  TiledChain(const IndexSpace& space, size_t row_dimension);

  // For so many elements at once.
  void compile(const FusedProgram& program, const std::vector<DType>& inputs,
               const std::vector<DType>& outputs, int64_t together, int64_t rank,
               CudaDevice& device);

  int64_t rows_;
  int64_t columns_;
  int64_t matrices_;
  std::vector<int64_t> strides_;  // of all operands along rows, then along columns
  SpaceArgument space_;           // of the matrices
  cudaKernel_t kernel_ = nullptr;
  Divided grid_ = {};
  int64_t blocks_ = 0;
  std::vector<int64_t> alignments_;  // that pointers need, in bytes
};

}  // namespace cleave::backend
