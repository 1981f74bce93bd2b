#include <limits>

#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

std::vector<Dim> dims(const std::vector<int64_t>& values) { return {values.begin(), values.end()}; }

TEST(Reduce, EqualsTheReferenceForAllTypesAxesAndLayouts) {
  const std::vector<int64_t> shape = {3, 4, 5, 33};
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod"}) {
    for (int t = 0; t < 13; ++t) {
      const auto type = static_cast<DType>(t);
      const HostTensor x = random_tensor(type, shape, 1, is_floating(type) ? -1.5 : -1, 3);
      for (int which = 0; which < 16; ++which) {
        std::vector<int64_t> axes, kept;
        for (int d = 0; d < 4; ++d) {
          ((which >> d & 1) != 0 ? axes : kept)
              .push_back((which >> d & 1) != 0 ? d : shape[static_cast<size_t>(d)]);
        }
        for (Lay lay : {Lay::kDense, Lay::kSwapped, Lay::kSparse}) {
          SCOPED_TRACE(std::string(op) + " " + std::string(name_of(type)) + " " +
                       std::to_string(which));
          check_case({.op = op,
                      .attributes = {{"axes", dims(axes)}},
                      .inputs = {&x},
                      .outputs = {HostTensor(type, kept)},
                      .input_lays = {lay}});
        }
      }
    }
  }
}

TEST(Reduce, OfNothingIsTheIdentity) {
  const HostTensor x(DType::kFloat32, {3, 0, 2});
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod"}) {
    check_case({.op = op,
                .attributes = {{"axes", dims({1})}},
                .inputs = {&x},
                .outputs = {HostTensor(DType::kFloat32, {3, 2})}});
  }
}

TEST(Reduce, ShowsNaN) {
  for (int64_t at : {0, 77, 299}) {
    HostTensor x = random_tensor(DType::kFloat32, {300}, 1);
    x.set(at, std::numeric_limits<double>::quiet_NaN());
    for (const char* op : {"reduce_sum", "reduce_max", "reduce_min"}) {
      check_case({.op = op,
                  .attributes = {{"axes", dims({0})}},
                  .inputs = {&x},
                  .outputs = {HostTensor(DType::kFloat32, {})}});
    }
  }
}

TEST(Reduce, LongSumsStayPrecise) {
  const HostTensor x = random_tensor(DType::kFloat32, {2, 300000}, 1, 0, 1);
  check_case({.op = "reduce_sum",
              .attributes = {{"axes", dims({1})}},
              .inputs = {&x},
              .outputs = {HostTensor(DType::kFloat32, {2})}});
}

// Enough places for several parts, and rows that fill no vector, one and several.
TEST(Reduce, AddsUpTheChannelsOfImages) {
  for (const int64_t channels : {3, 24, 64, 300}) {
    for (const int64_t places : {1, 37, 4099}) {
      const HostTensor x = random_tensor(DType::kFloat32, {2, places, channels}, 1, 0, 1);
      for (const char* op : {"reduce_sum", "reduce_max", "reduce_min"}) {
        check_case({.op = op,
                    .attributes = {{"axes", dims({1})}},
                    .inputs = {&x},
                    .outputs = {HostTensor(DType::kFloat32, {2, channels})}});
      }
      check_case({.op = "reduce_sum",
                  .attributes = {{"axes", dims({0, 1})}},
                  .inputs = {&x},
                  .outputs = {HostTensor(DType::kFloat32, {channels})},
                  .input_lays = {Lay::kSparse}});
    }
  }
}

TEST(ArgExtreme, FindsTheFirst) {
  for (const char* op : {"arg_max", "arg_min"}) {
    for (DType type : {DType::kFloat32, DType::kFloat16, DType::kInt64, DType::kUInt8}) {
      HostTensor x = random_tensor(type, {4, 30, 3}, 1, 0, 6);
      if (is_floating(type)) x.set(100, std::numeric_limits<double>::quiet_NaN());
      for (int64_t axis : {0, 1, 2}) {
        std::vector<int64_t> shape = {4, 30, 3};
        shape.erase(shape.begin() + axis);
        check_case({.op = op,
                    .attributes = {{"axis", Dim(axis)}},
                    .inputs = {&x},
                    .outputs = {HostTensor(DType::kInt64, shape)}});
      }
    }
  }
}

// Lines of several blocks, with equals in all of them.
TEST(ArgExtreme, FindsTheFirstOfLongLines) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const char* op : {"arg_max", "arg_min"}) {
    for (DType type : {DType::kFloat32, DType::kFloat16, DType::kFloat64, DType::kInt8}) {
      for (const auto& shape :
           std::vector<std::vector<int64_t>>{{1, 70000, 1}, {3, 20001, 1}, {2, 9000, 3}}) {
        HostTensor x = random_tensor(type, shape, 1, 0, 6);
        const auto check = [&] {
          check_case({.op = op,
                      .attributes = {{"axis", Dim(1)}},
                      .inputs = {&x},
                      .outputs = {HostTensor(DType::kInt64, {shape[0], shape[2]})}});
        };
        check();
        // The extreme is there twice, far apart.
        const double extreme = op == std::string("arg_max") ? 100 : -100;
        x.set(shape[1] * shape[2] / 3, extreme);
        x.set(shape[1] * shape[2] - shape[2], extreme);
        check();
        if (!is_floating(type)) continue;
        x.set(shape[1] * shape[2] / 2, nan);
        x.set(shape[1] * shape[2] - 1, nan);
        check();
      }
    }
  }
}

}  // namespace
}  // namespace cleave::backend
