#include "ops/conv/test_cases.h"
#include "tests/support/kernel_checks.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

const Sizes kSizes[] = {
    {{1, 3, 9}, {5, 3, 3}, {1}, {1}, {1}, {9}},
    {{2, 3, 20}, {4, 3, 5}, {2}, {2}, {4}, {10}},
    {{1, 1, 6, 7}, {1, 1, 3, 3}, {1, 1}, {1, 1}, {0, 0}, {4, 5}},
    {{2, 16, 14, 15}, {20, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {14, 15}},
    {{1, 3, 33, 31}, {40, 3, 7, 7}, {2, 2}, {1, 1}, {3, 3}, {17, 16}},
    {{1, 70, 9, 8}, {130, 70, 1, 1}, {1, 1}, {1, 1}, {0, 0}, {9, 8}},
    {{1, 8, 10, 10}, {8, 8, 1, 1}, {2, 3}, {1, 1}, {0, 0}, {5, 4}},
    // Many terms, in several k blocks; and more than are packed at once.
    {{1, 60, 20, 24}, {7, 60, 5, 5}, {1, 1}, {1, 1}, {2, 2}, {20, 24}},
    {{1, 2, 20, 24}, {9, 2, 31, 31}, {1, 1}, {1, 1}, {15, 15}, {20, 24}},
    // Groups, also of one channel.
    {{2, 6, 8, 9}, {9, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {8, 9}, 3},
    {{2, 5, 8, 9}, {5, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {8, 9}, 5},
    {{1, 5, 11, 12}, {10, 1, 5, 3}, {2, 2}, {1, 2}, {2, 2}, {6, 6}, 5},
    {{1, 4, 3, 9}, {4, 1, 3, 9}, {1, 3}, {2, 1}, {3, 5}, {5, 5}, 4},
    // Of many channels, at every second place and at all; and gates of channels.
    {{1, 72, 16, 16}, {72, 1, 5, 5}, {2, 2}, {1, 1}, {2, 2}, {8, 8}, 72},
    {{2, 64, 9, 10}, {64, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1}, {5, 5}, 64},
    {{2, 64, 9, 10}, {64, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {9, 10}, 64},
    {{2, 72, 1, 1}, {24, 72, 1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {{2, 24, 1, 1}, {72, 24, 1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {{2, 3, 16, 16}, {16, 3, 3, 3}, {2, 2}, {1, 1}, {1, 1}, {8, 8}},
    // Volumes.
    {{1, 2, 4, 5, 6}, {3, 2, 3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {4, 5, 6}},
    {{1, 3, 5, 5, 5}, {3, 1, 2, 3, 3}, {2, 1, 2}, {1, 1, 1}, {0, 1, 1}, {2, 5, 3}, 3},
    // Nothing to see, nothing to make.
    {{1, 2, 4, 4}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {9, 1}, {12, 4}},
    {{1, 0, 4, 4}, {3, 0, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {4, 4}},
    {{1, 2, 0, 4}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {2, 4}},
    {{0, 2, 4, 4}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {4, 4}},
    {{1, 2, 4, 4}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {0, 4}},
    {{1, 0, 4, 4}, {0, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {4, 4}, 0},
};

TEST(Conv, EqualsTheReferenceInEveryType) {
  for (const Sizes& sizes : kSizes) {
    for (DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64,
                       DType::kInt32, DType::kInt8}) {
      if (type != DType::kFloat32 && sizes.w[0] * sizes.w[1] > 1000) continue;
      const HostTensor x = random_tensor(type, sizes.x, 1, is_integer(type) ? -3 : -2, 3);
      const HostTensor w = random_tensor(type, sizes.w, 2, is_integer(type) ? -3 : -2, 3);
      for (bool weight : {false, true}) {
        for (const Lay lay : kLays) {
          const bool on_cpu = test_backend().name() == "cpu";
          const bool has_channels_last =
              type == DType::kFloat32 ||
              (!on_cpu && (type == DType::kFloat16 || type == DType::kBFloat16));
          if (lay == Lay::kChannelsLast && !has_channels_last) continue;
          KernelCase test = case_of(sizes, x, w);
          test.weights = {false, weight};
          lie(test, lay);
          SCOPED_TRACE(name_of(sizes) + (weight ? " weight " : " ") +
                       (lay == Lay::kChannelsLast ? "channels last " : "") +
                       std::string(cleave::name_of(type)));
          check_case(test);
        }
      }
    }
  }
}

TEST(Conv, ResultsDoNotDependOnThreads) {
  for (const Sizes& sizes : kSizes) {
    const HostTensor x = random_tensor(DType::kFloat32, sizes.x, 5);
    const HostTensor w = random_tensor(DType::kFloat32, sizes.w, 6);
    KernelCase test = case_of(sizes, x, w);
    test.weights = {false, true};
    for (const Lay lay : kLays) {
      lie(test, lay);
      for (const std::string& kernel : kernels_of(test)) {
        SCOPED_TRACE(name_of(sizes) + " " + kernel);
        test.kernel = kernel;
        test.threads = 1;
        const auto one = run_case(test);
        for (const int threads : {3, 24}) {
          test.threads = threads;
          EXPECT_EQ(one[0], run_case(test)[0]) << threads;
        }
        test.kernel.clear();
      }
    }
  }
}

// relu(conv + bias) + residual, the bias of a channel, of a place, or of a column.
TEST(Conv, CarriesOutItsEpilogue) {
  for (const Sizes& sizes : kSizes) {
    const HostTensor x = random_tensor(DType::kFloat32, sizes.x, 7);
    const HostTensor w = random_tensor(DType::kFloat32, sizes.w, 8);
    const std::vector<int64_t> y = sizes.y();
    const HostTensor residual = random_tensor(DType::kFloat32, y, 9);
    for (int shape = 0; shape < 3; ++shape) {
      std::vector<int64_t> extents(y.size(), 1);
      if (shape == 0) extents[1] = y[1];
      if (shape == 1) std::copy(y.begin() + 2, y.end(), extents.begin() + 2);
      if (shape == 2) extents[y.size() - 1] = y.back();
      const HostTensor bias = random_tensor(DType::kFloat32, extents, 10);
      KernelCase test = case_of(sizes, x, w);
      HostTensor expected = reference_of(test)[0];
      add_chain(test, bias, residual, expected);
      for (const Lay lay : kLays) {
        lie(test, lay);
        for (const std::string& kernel : kernels_of(test)) {
          SCOPED_TRACE(name_of(sizes) + " " + kernel);
          test.kernel = kernel;
          expect_near(run_case(test)[0], expected, 4e-6);
          test.kernel.clear();
        }
      }
    }
  }
}

// Chains that a library may have in its own kernel, in every type and format: activation(conv +
// bias) + residual, where nothing is rounded before the end, or everything is.
TEST(Conv, CarriesOutItsEpilogueInHalfPrecision) {
  if (test_backend().name() == "cpu") GTEST_SKIP() << "its arithmetic is float32";
  for (const char* activation : {"relu", "silu", "hard_swish", "gelu", "hard_sigmoid"}) {
    for (const DType type : {DType::kFloat16, DType::kBFloat16}) {
      const double alpha = std::string(activation) == "hard_sigmoid" ? 0.2 : 0;
      const FusedProgram chain{
          .inputs = 3,
          .steps = {{.op = "add", .args = {0, 1}, .type = type},
                    {.op = activation, .args = {3}, .alpha = alpha, .type = type},
                    {.op = "add", .args = {4, 2}, .type = type}},
          .outputs = {5}};
      for (const Sizes& sizes : kSizes) {
        if (sizes.w[0] * sizes.w[1] > 2000) continue;
        const HostTensor x = random_tensor(type, sizes.x, 7, -1, 1);
        const HostTensor w = random_tensor(type, sizes.w, 8, -1, 1);
        const std::vector<int64_t> y = sizes.y();
        const HostTensor residual = random_tensor(type, y, 9);
        std::vector<int64_t> extents(y.size(), 1);
        extents[1] = y[1];
        const HostTensor bias = random_tensor(type, extents, 10);
        KernelCase test = case_of(sizes, x, w);
        HostTensor expected = reference_of(test)[0];
        int64_t places = 1;
        for (size_t d = 2; d < y.size(); ++d) places *= y[d];
        for (int64_t i = 0; i < expected.elements(); ++i) {
          HostTensor sum(DType::kFloat64, {1});
          HostTensor made(DType::kFloat64, {1});
          sum.set(0, expected.get(i) + bias.get(i / places % y[1]));
          KernelCase one{.op = activation, .inputs = {&sum}, .outputs = {made}};
          if (alpha != 0) one.attributes.set("alpha", alpha);
          expected.set(i, reference_of(one)[0].get(0) + residual.get(i));
        }
        chain.to_attributes(test.attributes, "epilogue_");
        test.inputs.push_back(&bias);
        test.inputs.push_back(&residual);
        for (const Lay lay : kLays) {
          lie(test, lay);
          for (const std::string& kernel : kernels_of(test)) {
            SCOPED_TRACE(name_of(sizes) + " " + kernel + " " + activation +
                         (lay == Lay::kDense ? "" : " channels last"));
            test.kernel = kernel;
            expect_near(run_case(test)[0], expected, 3 * tolerance_of(type));
            test.kernel.clear();
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace cleave::backend
