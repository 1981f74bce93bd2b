// The algorithms that tuning chooses from, and what kernels have untuned, on sizes drawn at random
// and on some that libraries get wrong.
#include <algorithm>
#include <string>
#include <vector>

#include "ops/conv/test_cases.h"
#include "tests/support/kernel_checks.h"

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
  explicit RandomSizes(unsigned seed) : draw_(seed) {}

  Sizes make() {
    Sizes sizes;
    sizes.groups = draw_.of<int64_t>({1, 1, 2, 3, 5, 8, 16, 32});
    const bool grouped = sizes.groups > 1;
    const int64_t channels =
        grouped ? draw_.of<int64_t>({1, 1, 1, 2, 4}) : draw_.of<int64_t>({1, 3, 8, 16});
    const int64_t outputs =
        grouped ? draw_.of<int64_t>({1, 1, 2, 4}) : draw_.of<int64_t>({1, 4, 8, 16});
    sizes.x = {draw_.uniform(1, 2), sizes.groups * channels};
    sizes.w = {sizes.groups * outputs, channels};
    const int64_t dims = draw_.of<int64_t>({1, 2, 2, 3});
    for (int64_t d = 0; d < dims; ++d) add_axis(sizes, dims == 3 ? 3 : 5);
    return sizes;
  }

 private:
  void add_axis(Sizes& sizes, int64_t most_taps) {
    const int64_t taps = draw_.uniform(1, most_taps);
    const int64_t stride = draw_.uniform(1, 2);
    const int64_t dilation = draw_.uniform(1, 2);
    const int64_t reach = (taps - 1) * dilation + 1;
    const int64_t low = draw_.uniform(0, reach - 1);
    const int64_t high = draw_.chance(33) ? low : draw_.uniform(0, reach - 1);
    const int64_t out = draw_.uniform(1, 9);
    const int64_t in = (out - 1) * stride + reach - low - high + draw_.uniform(0, 1);
    sizes.x.push_back(std::max<int64_t>(1, in));
    sizes.w.push_back(taps);
    sizes.strides.emplace_back(stride);
    sizes.dilations.emplace_back(dilation);
    sizes.low.emplace_back(low);
    sizes.outputs.push_back(out);
  }

  Draw draw_;
};

// In each type and format, alone or with a chain, all operands or all but one beginning where
// libraries read at once.
void check(KernelChecks& checks, const Sizes& sizes, unsigned seed, bool has_chain) {
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
      for (const bool is_shifted : {false, true}) {
        const size_t operand = seed % (test.inputs.size() + 1);
        lie(test, lay);
        if (is_shifted) shift(test, operand);
        SCOPED_TRACE(name_of(sizes) + " " + std::string(cleave::name_of(type)) +
                     (has_chain ? " with a chain" : "") +
                     (lay == Lay::kChannelsLast ? ", channels last" : "") +
                     (is_shifted ? ", operand " + std::to_string(operand) + " shifted" : ""));
        checks.every_algorithm(test, expected);
      }
    }
  }
}

TEST(ConvAlgorithms, EqualTheReferenceOnHardSizes) {
  KernelChecks checks;
  unsigned seed = 0;
  for (const Sizes& sizes : kHardSizes) {
    for (const bool has_chain : {false, true}) check(checks, sizes, ++seed, has_chain);
  }
}

TEST(ConvAlgorithms, EqualTheReferenceOnRandomSizes) {
  static unsigned next = 0;
  KernelChecks checks;
  for_seeds(next, 200, 20,
            [&](unsigned seed) { check(checks, RandomSizes(seed).make(), seed, seed % 2 == 1); });
}

}  // namespace
}  // namespace cleave::backend
