#include "backend/cuda/overlap.h"

#include <gtest/gtest.h>

namespace cleave::backend {
namespace {

TEST(Overlap, EveryKernelOfASourceWaitsFirst) {
  EXPECT_EQ(with_waits("struct A { int a; };\n"
                       "__device__ int f() { return 1; }\n"
                       "extern \"C\" __global__ void first(const A a, int* y) { *y = f(); }\n"
                       "extern \"C\" __global__ void __launch_bounds__(kBlock ? 2 : (1 + 1))\n"
                       "    second(int* y) {\n  if (y) { *y = 2; }\n}\n"),
            "struct A { int a; };\n"
            "__device__ int f() { return 1; }\n"
            "extern \"C\" __global__ void first(const A a, int* y) { await_stream(); *y = f(); }\n"
            "extern \"C\" __global__ void __launch_bounds__(kBlock ? 2 : (1 + 1))\n"
            "    second(int* y) { await_stream();\n  if (y) { *y = 2; }\n}\n");
  EXPECT_EQ(with_waits("no kernel"), "no kernel");
  EXPECT_EQ(with_waits("__global__ void declared("), "__global__ void declared(");
}

}  // namespace
}  // namespace cleave::backend
