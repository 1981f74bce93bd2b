// Kernels that move elements or make them from nothing.
#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

std::vector<Dim> dims(const std::vector<int64_t>& values) { return {values.begin(), values.end()}; }

// In every size of element and every layout.
void check(KernelCase test, const std::vector<int64_t>& shape, const std::vector<int64_t>& result,
           bool strided = true) {
  for (DType type : {DType::kFloat32, DType::kFloat16, DType::kInt64, DType::kBool}) {
    const HostTensor x = random_tensor(type, shape, 1, -100, 100);
    test.inputs = {&x};
    test.outputs = {HostTensor(type, result)};
    for (Lay in : {Lay::kDense, Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
      for (Lay out : {Lay::kDense, Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
        if (!strided && (in != Lay::kDense || out != Lay::kDense)) continue;
        test.input_lays = {in};
        test.output_lays = {out};
        check_case(test);
      }
    }
  }
}

TEST(Movement, Reshape) {
  check({.op = "reshape", .attributes = {{"shape", dims({6, 20})}}}, {4, 5, 6}, {6, 20}, false);
  check({.op = "reshape", .attributes = {{"shape", dims({0, 7})}}}, {7, 0}, {0, 7}, false);
}

TEST(Movement, Transpose) {
  check({.op = "transpose", .attributes = {{"perm", dims({1, 0})}}}, {70, 33}, {33, 70});
  check({.op = "transpose", .attributes = {{"perm", dims({0, 2, 1, 3})}}}, {2, 9, 4, 16},
        {2, 4, 9, 16});
  check({.op = "transpose", .attributes = {{"perm", dims({2, 0, 1})}}}, {5, 40, 6}, {6, 5, 40});
  check({.op = "transpose", .attributes = {{"perm", dims({1, 0})}}}, {0, 3}, {3, 0});
}

TEST(Movement, Broadcast) {
  check({.op = "broadcast", .attributes = {{"shape", dims({3, 4, 50})}}}, {4, 1}, {3, 4, 50});
  check({.op = "broadcast", .attributes = {{"shape", dims({4, 300})}}}, {300}, {4, 300});
}

TEST(Movement, Slice) {
  check(
      {.op = "slice",
       .attributes = {{"begin", dims({1, 3})}, {"extent", dims({2, 10})}, {"step", dims({2, 4})}}},
      {5, 43}, {2, 10});
  check({.op = "slice",
         .attributes = {{"begin", dims({5, 0})}, {"extent", dims({0, 7})}, {"step", dims({1, 1})}}},
        {5, 7}, {0, 7});
}

TEST(Movement, Reverse) {
  check({.op = "reverse", .attributes = {{"axes", dims({0, 2})}}}, {3, 4, 50}, {3, 4, 50});
  check({.op = "reverse", .attributes = {{"axes", dims({0})}}}, {0, 4}, {0, 4});
}

TEST(Movement, Pad) {
  check(
      {.op = "pad", .attributes = {{"low", dims({1, 2})}, {"high", dims({0, 3})}, {"value", 1.0}}},
      {4, 30}, {5, 35});
  check({.op = "pad", .attributes = {{"low", dims({2})}, {"high", dims({1})}, {"value", 1.0}}}, {0},
        {3});
}

TEST(Movement, PadWithElements) {
  for (const char* mode : {"reflect", "edge", "wrap"}) {
    check({.op = "pad",
           .attributes = {{"low", dims({1, 2})}, {"high", dims({0, 40})}, {"mode", mode}}},
          {4, 30}, {5, 72});
    check({.op = "pad",
           .attributes = {{"low", dims({2, 0, 1})}, {"high", dims({1, 0, 0})}, {"mode", mode}}},
          {1, 0, 3}, {4, 0, 4});
  }
}

TEST(Movement, ConcatAndSplit) {
  for (int64_t axis : {0, 1, 2}) {
    std::vector<HostTensor> parts;
    std::vector<int64_t> whole = {3, 4, 20};
    whole[static_cast<size_t>(axis)] = 0;
    std::vector<int64_t> sizes = {5, 0, 2};
    for (size_t i = 0; i < sizes.size(); ++i) {
      std::vector<int64_t> shape = {3, 4, 20};
      shape[static_cast<size_t>(axis)] = sizes[i];
      whole[static_cast<size_t>(axis)] += sizes[i];
      parts.push_back(random_tensor(DType::kFloat32, shape, static_cast<unsigned>(i)));
    }
    const HostTensor x = random_tensor(DType::kFloat32, whole, 7);
    for (Lay lay : {Lay::kDense, Lay::kSwapped, Lay::kSparse}) {
      check_case({.op = "concat",
                  .attributes = {{"axis", Dim(axis)}},
                  .inputs = {&parts[0], &parts[1], &parts[2]},
                  .outputs = {HostTensor(DType::kFloat32, whole)},
                  .input_lays = {lay, lay, lay},
                  .output_lays = {lay}});
      check_case({.op = "split",
                  .attributes = {{"axis", Dim(axis)}, {"sizes", dims(sizes)}},
                  .inputs = {&x},
                  .outputs = parts,
                  .input_lays = {lay},
                  .output_lays = {lay, lay, lay}});
    }
  }
}

TEST(Movement, CopyFromAnyView) {
  const HostTensor x = random_tensor(DType::kFloat32, {3, 40, 50}, 1);
  for (Lay lay : {Lay::kGaps, Lay::kSwapped, Lay::kSparse}) {
    const KernelCase test{.op = "copy",
                          .inputs = {&x},
                          .outputs = {HostTensor(DType::kFloat32, x.shape)},
                          .input_lays = {lay}};
    EXPECT_EQ(run_case(test)[0], x);
  }
}

TEST(Gather, EqualsTheReferenceOnEveryAxis) {
  for (DType type : {DType::kFloat32, DType::kFloat16, DType::kInt64}) {
    const HostTensor data = random_tensor(type, {6, 5, 7}, 1, -50, 50);
    for (DType index : {DType::kInt64, DType::kInt32}) {
      HostTensor indices(index, {2, 4});
      for (int64_t i = 0; i < 8; ++i) indices.set_integer(i, i % 2 == 0 ? i / 2 : -1 - i / 2);
      for (int64_t axis : {0, 1, 2}) {
        std::vector<int64_t> shape = {6, 5, 7};
        shape.erase(shape.begin() + axis);
        shape.insert(shape.begin() + axis, {2, 4});
        check_case({.op = "gather",
                    .attributes = {{"axis", Dim(axis)}},
                    .inputs = {&data, &indices},
                    .outputs = {HostTensor(type, shape)}});
        // A rank that holds rows 3 and on of 12.
        check_case({.op = "gather",
                    .attributes = {{"axis", Dim(axis)}, {"offset", Dim(3)}, {"total", Dim(12)}},
                    .inputs = {&data, &indices},
                    .outputs = {HostTensor(type, shape)}});
      }
    }
  }
}

TEST(Rotary, EqualsTheReference) {
  for (DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    const HostTensor x = random_tensor(type, {2, 3, 7, 16}, 1);
    for (const std::vector<int64_t>& angles : {std::vector<int64_t>{7, 8}, {2, 1, 7, 8}, {1, 8}}) {
      const HostTensor cos = random_tensor(type, angles, 2, -1, 1);
      const HostTensor sin = random_tensor(type, angles, 3, -1, 1);
      for (int64_t interleaved : {0, 1}) {
        check_case({.op = "rotary",
                    .attributes = {{"interleaved", Dim(interleaved)}},
                    .inputs = {&x, &cos, &sin},
                    .outputs = {HostTensor(type, x.shape)},
                    .input_lays = {Lay::kGaps}});
      }
    }
  }
}

TEST(Made, IotaAndShapeValues) {
  for (DType type : {DType::kInt64, DType::kFloat32, DType::kInt32}) {
    check_case({.op = "iota",
                .attributes = {{"shape", dims({2, 9, 3})},
                               {"axis", Dim(1)},
                               {"to", type},
                               {"offset", Dim(4)}},
                .outputs = {HostTensor(type, {2, 9, 3})}});
    check_case({.op = "shape_values",
                .attributes = {{"values", dims({2, -9, 300})}, {"to", type}},
                .outputs = {HostTensor(type, {3})}});
  }
  check_case({.op = "shape_values",
              .attributes = {{"values", dims({8})}, {"to", DType::kInt64}, {"scalar", Dim(1)}},
              .outputs = {HostTensor(DType::kInt64, {})}});
}

}  // namespace
}  // namespace cleave::backend
