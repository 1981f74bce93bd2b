// Device code that is generated for chains compiles; no GPU is needed.
#include <gtest/gtest.h>

#include "backend/cuda/modules.h"
#include "ops/elementwise/cuda_tiles.h"

namespace cleave::backend {
namespace {

TEST(TiledChain, CompilesForAllWaysInWhichOperandsLie) {
  const std::vector<DType> inputs = {DType::kFloat32, DType::kFloat16, DType::kFloat16,
                                     DType::kFloat16};
  const FusedProgram program{.inputs = 4,
                             .steps = {{.op = "cast", .args = {0}, .type = DType::kFloat16},
                                       {.op = "add", .args = {4, 1}, .type = DType::kFloat16},
                                       {.op = "mul", .args = {5, 2}, .type = DType::kFloat16},
                                       {.op = "add", .args = {6, 3}, .type = DType::kFloat16},
                                       {.op = "relu", .args = {7}, .type = DType::kFloat16}},
                             .outputs = {8, 4}};
  const std::vector<Lie> lies = {Lie::kAlongRows, Lie::kAlongColumns, Lie::kSame,
                                 Lie::kApart,     Lie::kAlongColumns, Lie::kAlongColumns};
  for (const int64_t together : {1, 2}) {
    const std::string source =
        tiled_chain_source(program, inputs, {DType::kFloat16, DType::kFloat16}, lies, together, 0);
    EXPECT_NO_THROW(compile_for_gpu(source, 80)) << source;
    EXPECT_NO_THROW(compile_for_gpu(source, 90)) << source;
  }
}

}  // namespace
}  // namespace cleave::backend
