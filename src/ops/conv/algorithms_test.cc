// The algorithms that tuning chooses from, and what kernels have untuned, on sizes drawn at random
// and on some that libraries get wrong.
#include <initializer_list>
#include <random>

#include "ops/conv/test_cases.h"

namespace cleave::backend {
namespace {

// cuDNN 9.14 has wrong results for these, or none: its kernel for windows of one row, of one
// channel a group, goes by the padding before an image alone; another one takes half-precision
// images in planes to lie channels-last where the result's do.
const Sizes kHardSizes[] = {
    {{1, 5, 2}, {5, 1, 3}, {1}, {1}, {1}, {1}, 5},
    {{2, 5, 9}, {5, 1, 5}, {1}, {1}, {2}, {7}, 5},
    {{2, 32, 6}, {32, 1, 3}, {1}, {1}, {1}, {7}, 32},
    {{2, 1, 2}, {1, 1, 3}, {1}, {1}, {1}, {1}},
    {{2, 3, 2, 4}, {3, 1, 1, 5}, {1, 1}, {1, 1}, {0, 1}, {2, 2}, 3},
    {{2, 3, 4, 2}, {3, 1, 5, 1}, {1, 1}, {1, 1}, {1, 0}, {2, 2}, 3},
    {{2, 8, 5}, {2, 4, 4}, {2}, {2}, {3}, {1}, 2},
    {{2, 128, 4}, {32, 4, 3}, {1}, {2}, {2}, {1}, 32},
    {{1, 6, 5}, {12, 2, 2}, {1}, {1}, {0}, {4}, 3},
    {{1, 6, 18, 12}, {12, 2, 1, 5}, {1, 1}, {1, 1}, {0, 2}, {18, 12}, 3},
    {{1, 10, 4, 6, 1}, {20, 2, 3, 1, 3}, {1, 1, 1}, {1, 1, 1}, {1, 0, 1}, {4, 6, 1}, 5},
};

// Windows over one to three dimensions, with as much padding before an axis as behind it or not,
// that see all of it or leave some of it out; groups of all sizes, those of one channel above all.
class RandomSizes {
 public:
  explicit RandomSizes(unsigned seed) : random_(seed) {}

  Sizes draw() {
    Sizes sizes;
    sizes.groups = one_of({1, 1, 2, 3, 5, 8, 16, 32});
    const int64_t channels = sizes.groups > 1 ? one_of({1, 1, 1, 2, 4}) : one_of({1, 3, 8, 16});
    const int64_t outputs = sizes.groups > 1 ? one_of({1, 1, 2, 4}) : one_of({1, 4, 8, 16});
    sizes.x = {one_of({1, 2}), sizes.groups * channels};
    sizes.w = {sizes.groups * outputs, channels};
    const int64_t dims = one_of({1, 2, 2, 3});
    for (int64_t d = 0; d < dims; ++d) add_axis(sizes, dims == 3 ? 3 : 5);
    return sizes;
  }

 private:
  int64_t one_of(std::initializer_list<int64_t> values) {
    return values.begin()[random_() % values.size()];
  }
  int64_t between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random_() % static_cast<uint64_t>(most - least + 1));
  }
  void add_axis(Sizes& sizes, int64_t most_taps) {
    const int64_t taps = between(1, most_taps);
    const int64_t stride = between(1, 2);
    const int64_t dilation = between(1, 2);
    const int64_t reach = (taps - 1) * dilation + 1;
    const int64_t low = between(0, reach - 1);
    const int64_t high = between(0, 2) == 0 ? low : between(0, reach - 1);
    const int64_t out = between(1, 9);
    const int64_t in = (out - 1) * stride + reach - low - high + between(0, 1);
    sizes.x.push_back(std::max<int64_t>(1, in));
    sizes.w.push_back(taps);
    sizes.strides.emplace_back(stride);
    sizes.dilations.emplace_back(dilation);
    sizes.low.emplace_back(low);
    sizes.outputs.push_back(out);
  }

  std::mt19937 random_;
};

// A tensor of few whole numbers: what is not the right element is seen in every type.
HostTensor whole_numbers(DType type, std::vector<int64_t> shape, unsigned seed) {
  const HostTensor whole = random_tensor(DType::kInt8, std::move(shape), seed, -2, 3);
  HostTensor tensor(type, whole.shape);
  for (int64_t i = 0; i < whole.elements(); ++i) tensor.set(i, whole.get(i));
  return tensor;
}

class ConvAlgorithms : public ::testing::Test {
 protected:
  // Of each kernel that takes it, in each type and format, alone or with a chain.
  void check(const Sizes& sizes, unsigned seed, bool has_chain) {
    for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      const HostTensor x = whole_numbers(type, sizes.x, 4 * seed);
      const HostTensor w = whole_numbers(type, sizes.w, 4 * seed + 1);
      const HostTensor residual = whole_numbers(type, sizes.y(), 4 * seed + 2);
      std::vector<int64_t> channels(sizes.x.size(), 1);
      channels[1] = sizes.w[0];
      const HostTensor bias = whole_numbers(type, channels, 4 * seed + 3);
      KernelCase test = case_of(sizes, x, w);
      HostTensor expected = reference_of(test)[0];
      if (has_chain) add_chain(test, bias, residual, expected);
      for (const Lay lay : kLays) {
        lie(test, lay);
        SCOPED_TRACE(std::string(cleave::name_of(type)) + (has_chain ? " with a chain" : "") +
                     (lay == Lay::kChannelsLast ? ", channels last" : ""));
        check(test, expected);
      }
    }
  }

 private:
  void check(KernelCase test, const HostTensor& expected) {
    for (const std::string& kernel : kernels_of(test)) {
      test.kernel = kernel;
      for (const std::string& algorithm : algorithms_of(test, cache_)) {
        SCOPED_TRACE(kernel + " " + algorithm);
        test.algorithm = algorithm;
        expect_near(run_case(test, *device_, cache_)[0], expected, tolerance_of(expected.dtype));
      }
      test.algorithm.clear();
    }
  }

  const std::unique_ptr<Device> device_ = test_backend().make_device({.threads = 2});
  KernelCache cache_{*device_};
};

TEST_F(ConvAlgorithms, EqualTheReferenceOnHardSizes) {
  unsigned seed = 0;
  for (const Sizes& sizes : kHardSizes) {
    SCOPED_TRACE(name_of(sizes));
    for (const bool has_chain : {false, true}) check(sizes, ++seed, has_chain);
  }
}

// Others in each repetition: --gtest_repeat=100 draws as many times as many.
TEST_F(ConvAlgorithms, EqualTheReferenceOnRandomSizes) {
  static unsigned seed = 0;
  const unsigned end = seed + (test_backend().name() == "cpu" ? 200 : 20);
  for (; seed < end; ++seed) {
    const Sizes sizes = RandomSizes(seed).draw();
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + name_of(sizes));
    check(sizes, seed, seed % 2 == 1);
  }
}

}  // namespace
}  // namespace cleave::backend
