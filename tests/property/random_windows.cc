// Random ops that slide a window over what lies behind batch and channels.
#include "tests/property/random_values.h"

namespace cleave::testing {
namespace {

class Windows {
 public:
  explicit Windows(RandomValues& values)
      : values_(values), x_(values.bounded(values.pick())), shape_(values.shape(x_)) {}

  void add() {
    if (shape_.size() < 3 || shape_.size() > 5) return;
    for (size_t d = 1; d < shape_.size(); ++d) {
      if (!shape_[d].is_constant() || shape_[d].is(0)) return;
    }
    for (size_t d = 2; d < shape_.size(); ++d) {
      if (!draw(shape_[d].constant())) return;
    }
    // A pool whose window sees padding alone would make infinities.
    const bool dense = std::all_of(dilations_.begin(), dilations_.end(),
                                   [](const Dim& dilation) { return dilation.is(1); });
    dense&& values_.chance(30) ? add_max_pool() : add_conv();
  }

 private:
  // A window over `extent` elements; false where it is larger than these and their padding.
  bool draw(int64_t extent) {
    const int64_t taps = values_.uniform(1, 3);
    const int64_t stride = values_.uniform(1, 2);
    const int64_t dilation = values_.uniform(1, 2);
    const int64_t low = values_.uniform(0, taps - 1);
    const int64_t high = values_.uniform(0, taps - 1);
    const int64_t room = extent + low + high - ((taps - 1) * dilation + 1);
    if (room < 0) return false;
    kernel_.emplace_back(taps);
    strides_.emplace_back(stride);
    dilations_.emplace_back(dilation);
    low_.emplace_back(low);
    high_.emplace_back(high);
    outputs_.emplace_back(room / stride + 1);
    return true;
  }

  void add_conv() {
    const int64_t channels = shape_[1].constant();
    std::vector<int64_t> divisors;
    for (int64_t d = 1; d <= channels; ++d) {
      if (channels % d == 0) divisors.push_back(d);
    }
    const int64_t groups = divisors[static_cast<size_t>(
        values_.uniform(0, static_cast<int64_t>(divisors.size()) - 1))];
    Shape weights = {Dim(groups * values_.uniform(1, 4)), Dim(channels / groups)};
    weights.insert(weights.end(), kernel_.begin(), kernel_.end());
    const auto terms = static_cast<double>(product(std::span(weights).subspan(1)).constant());
    const RandomValues::Known w = values_.constant(weights, 3);
    values_.made(values_.op("conv",
                            {{"strides", strides_},
                             {"dilations", dilations_},
                             {"low", low_},
                             {"outputs", outputs_},
                             {"groups", Dim(groups)}},
                            {x_.id, w.id}),
                 x_.magnitude * 3 * terms);
  }

  void add_max_pool() {
    values_.made(values_.op("max_pool",
                            {{"kernel", kernel_},
                             {"strides", strides_},
                             {"dilations", dilations_},
                             {"low", low_},
                             {"outputs", outputs_}},
                            {x_.id}),
                 x_.magnitude);
  }

  RandomValues& values_;
  RandomValues::Known x_;
  Shape shape_;
  std::vector<Dim> kernel_, strides_, dilations_, low_, high_, outputs_;
};

}  // namespace

void add_windowed(RandomValues& values) { Windows(values).add(); }

}  // namespace cleave::testing
