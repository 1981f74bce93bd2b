// The algorithms that tuning chooses from, and what kernels have untuned, on sizes drawn at random.
#include <algorithm>
#include <string>
#include <vector>

#include "ops/pool/testing.h"
#include "tests/support/kernel_checks.h"

namespace cleave::backend {
namespace {

// Windows over one to three dimensions, padded evenly or not, of which some leave the last elements
// out; few see past the padding, are dilated or see padding alone.
struct RandomPooling {
  std::vector<int64_t> x, y;
  Shape kernel, strides, dilations, low, high;

  explicit RandomPooling(Draw& draw) {
    x = y = {draw.uniform(1, 3), draw.of<int64_t>({1, 3, 4, 8, 16, 32})};
    const int64_t dims = draw.of<int64_t>({1, 2, 2, 2, 3});
    for (int64_t d = 0; d < dims; ++d) add_axis(draw, dims == 3 ? 3 : 5);
  }
  Attributes attributes(const std::string& op, bool counts_padding) const {
    return testing::pooling(op, {x.begin() + 2, x.end()}, kernel, strides, dilations, low, high,
                            counts_padding);
  }

 private:
  void add_axis(Draw& draw, int64_t most_taps) {
    const int64_t taps = draw.uniform(1, most_taps);
    const int64_t stride = draw.uniform(1, 3);
    const int64_t dilation = draw.chance(10) ? 2 : 1;
    const int64_t reach = (taps - 1) * dilation + 1;
    const int64_t before = draw.uniform(0, draw.chance(10) ? reach : reach - 1);
    const int64_t behind = draw.chance(50) ? before : draw.uniform(0, reach - 1);
    const int64_t out = draw.uniform(1, 9);
    const int64_t in = (out - 1) * stride + reach - before - behind + draw.uniform(0, stride - 1);
    x.push_back(std::max<int64_t>(1, in));
    kernel.emplace_back(taps);
    strides.emplace_back(stride);
    dilations.emplace_back(dilation);
    low.emplace_back(before);
    high.emplace_back(behind);
    y.push_back((x.back() + before + behind - reach) / stride + 1);
  }
};

TEST(PoolAlgorithms, EqualTheReferenceOnRandomSizes) {
  static unsigned next = 0;
  KernelChecks checks;
  for_seeds(next, 200, 10, [&](unsigned seed) {
    Draw draw(seed);
    const RandomPooling sizes(draw);
    for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      const HostTensor x = random_tensor(type, sizes.x, seed, -9, 9);
      for (const std::string op : {"max_pool", "average_pool"}) {
        const Attributes attributes = sizes.attributes(op, draw.chance(50));
        KernelCase test{
            .op = op, .attributes = attributes, .inputs = {&x}, .outputs = {{type, sizes.y}}};
        const HostTensor expected = reference_of(test)[0];
        for (const Lay lay : {Lay::kDense, Lay::kChannelsLast}) {
          test.input_lays = test.output_lays = {lay};
          SCOPED_TRACE(op + " " + TensorView::dense(type, sizes.x).text() + " to " +
                       TensorView::dense(type, sizes.y).text() + " " + attributes.text() +
                       (lay == Lay::kChannelsLast ? ", channels last" : ""));
          checks.every_algorithm(test, expected);
        }
      }
    }
  });
}

}  // namespace
}  // namespace cleave::backend
