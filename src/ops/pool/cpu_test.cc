#include <limits>

#include "ops/pool/testing.h"
#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

using testing::pooling;

struct Geometry {
  std::vector<int64_t> x, y;
  Shape kernel, strides, dilations, low, high;
  Shape image() const { return {x.begin() + 2, x.end()}; }
};

const Geometry kGeometries[] = {
    {{2, 3, 40}, {2, 3, 38}, {3}, {1}, {1}, {0}, {0}},
    {{1, 4, 11, 37}, {1, 4, 6, 19}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {{1, 2, 9, 8}, {1, 2, 3, 1}, {3, 8}, {3, 8}, {1, 1}, {0, 0}, {0, 0}},
    {{2, 1, 9, 10}, {2, 1, 9, 7}, {2, 3}, {1, 2}, {3, 2}, {1, 4}, {2, 3}},
    {{1, 2, 4, 5, 6}, {1, 2, 3, 3, 2}, {2, 1, 3}, {1, 2, 3}, {1, 1, 2}, {0, 0, 1}, {0, 1, 1}},
    {{2, 16, 9, 10}, {2, 16, 5, 5}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {{1, 1, 1}, {1, 1, 1}, {2}, {3}, {2}, {1}, {1}},
    {{0, 3, 5}, {0, 3, 3}, {3}, {1}, {1}, {0}, {0}},
};

void check(const std::string& op, DType type, const Geometry& g, const Attributes& attributes) {
  const HostTensor x = random_tensor(type, g.x, 1, -9, 9);
  const DType result = op == "max_pool_index" ? DType::kInt64 : type;
  KernelCase test{.op = op, .attributes = attributes, .inputs = {&x}, .outputs = {{result, g.y}}};
  check_case(test);
  if (op == "max_pool_index") return;
  for (const Lay lay : {Lay::kChannelsLast, Lay::kShiftedChannelsLast}) {
    test.input_lays = {lay};
    test.output_lays = {Lay::kChannelsLast};
    check_case(test);
    std::swap(test.input_lays, test.output_lays);
    check_case(test);
  }
}

TEST(PoolCpu, EqualsTheReference) {
  for (const Geometry& g : kGeometries) {
    SCOPED_TRACE(::testing::PrintToString(g.x));
    for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
      for (const std::string op : {"max_pool", "max_pool_index", "average_pool", "lp_pool"}) {
        for (const bool counts : {false, true}) {
          Attributes attributes =
              pooling(op, g.image(), g.kernel, g.strides, g.dilations, g.low, g.high, counts);
          check(op, type, g, attributes);
        }
      }
      for (const int64_t p : {1, 3}) {
        Attributes attributes =
            pooling("lp_pool", g.image(), g.kernel, g.strides, g.dilations, g.low, g.high);
        attributes.set("p", Dim(p));
        check("lp_pool", type, g, attributes);
      }
    }
    for (const DType type : {DType::kInt8, DType::kUInt8, DType::kInt64}) {
      Attributes attributes =
          pooling("max_pool", g.image(), g.kernel, g.strides, g.dilations, g.low, g.high);
      check("max_pool", type, g, attributes);
      attributes.set("column_major", Dim(1));
      check("max_pool_index", type, g, attributes);
      // Of a part of a larger image.
      Shape whole = g.image();
      for (Dim& extent : whole) extent += 5;
      attributes.set("image", whole);
      attributes.set("begin", Shape(whole.size(), 3));
      check("max_pool_index", type, g, attributes);
    }
  }
}

// Only the taps that lie inside of the image are walked.
TEST(PoolCpu, WindowsFarLargerThanTheImage) {
  constexpr int64_t kFar = int64_t{1} << 40;
  const HostTensor x = random_tensor(DType::kFloat32, {1, 1, 4}, 1);
  const auto y =
      run_case({.op = "max_pool",
                .attributes = pooling("max_pool", {4}, {kFar}, {1}, {1}, {kFar - 1}, {0}),
                .inputs = {&x},
                .outputs = {{DType::kFloat32, {1, 1, 4}}}});
  EXPECT_EQ(y[0].get(0), x.get(0));
  EXPECT_EQ(y[0].get(1), std::max(x.get(0), x.get(1)));
}

TEST(PoolCpu, KeepsNan) {
  HostTensor x = random_tensor(DType::kFloat32, {1, 1, 8, 20}, 1);
  x.set(45, std::numeric_limits<double>::quiet_NaN());
  for (const char* op : {"max_pool", "max_pool_index"}) {
    const DType result = std::string(op) == "max_pool" ? DType::kFloat32 : DType::kInt64;
    check_case({.op = op,
                .attributes = pooling(op, {8, 20}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}),
                .inputs = {&x},
                .outputs = {{result, {1, 1, 8, 20}}}});
  }
}

}  // namespace
}  // namespace cleave::backend
