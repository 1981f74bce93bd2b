// Random ops that slide a window over what lies behind batch and channels. What they divide by is
// multiplied again, so that results are whole numbers.
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
    switch (values_.uniform(0, 6)) {
      case 0:
        return add_max_pool();
      case 1:
        return add_max_pool_index();
      case 2:
        return add_average_pool();
      case 3:
        return add_lp_pool();
      default:
        return add_conv();
    }
  }

 private:
  // A window over `extent` elements; false where it is larger than these and their padding.
  bool draw(int64_t extent) {
    const int64_t taps = values_.uniform(1, 3);
    const int64_t stride = values_.uniform(1, 2);
    const int64_t dilation = values_.uniform(1, 2);
    const int64_t low = values_.uniform(0, taps - 1);
    const int64_t high = values_.uniform(0, taps - 1);
    const int64_t reach = (taps - 1) * dilation + 1;
    int64_t room = extent + low + high - reach;
    if (room < 0) return false;
    // As ceil mode has it: a last window may reach beyond the padding.
    const int64_t beyond = std::max<int64_t>(0, std::min(stride - 1, reach - high - 1));
    if (values_.chance(30)) room += beyond;
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
    const int64_t groups = values_.of(divisors);
    Shape weights = {Dim(groups * values_.draw_extent(4)), Dim(channels / groups)};
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

  Attributes pool() const {
    return {{"kernel", kernel_},
            {"strides", strides_},
            {"dilations", dilations_},
            {"low", low_},
            {"outputs", outputs_}};
  }

  double taps() const { return static_cast<double>(product(kernel_).constant()); }

  // A window that sees padding alone would make infinities.
  void add_max_pool() {
    const auto is_one = [](const Dim& dilation) { return dilation.is(1); };
    if (!std::all_of(dilations_.begin(), dilations_.end(), is_one)) return add_lp_pool();
    values_.made(values_.op("max_pool", pool(), {x_.id}), x_.magnitude);
  }

  void add_max_pool_index() {
    Attributes attributes = pool();
    attributes.set("column_major", Dim(values_.uniform(0, 1)));
    const ir::ValueId index = values_.op("max_pool_index", attributes, {x_.id});
    const Dim elements = product(std::span(shape_).subspan(2));
    values_.made(values_.op("cast", {{"to", DType::kFloat32}}, {index}),
                 static_cast<double>(elements.constant()));
  }

  // Over powers of two, all of which count, so that the quotients are exact.
  void add_average_pool() {
    Attributes attributes = pool();
    std::vector<Dim> high = high_;
    for (size_t d = 0; d < kernel_.size(); ++d) {
      if (kernel_[d].is(3)) return add_lp_pool();
      high[d] += strides_[d];  // with what is beyond
    }
    attributes.set("counted_low", low_);
    attributes.set("counted_high", high);
    const ir::ValueId y = values_.op("average_pool", attributes, {x_.id});
    values_.made(values_.times(y, taps()), x_.magnitude * taps());
  }

  void add_lp_pool() {
    Attributes attributes = pool();
    attributes.set("p", Dim(1));
    values_.made(values_.op("lp_pool", attributes, {x_.id}), x_.magnitude * taps());
  }

  RandomValues& values_;
  RandomValues::Known x_;
  Shape shape_;
  std::vector<Dim> kernel_, strides_, dilations_, low_, high_, outputs_;
};

}  // namespace

void add_windowed(RandomValues& values) { Windows(values).add(); }

}  // namespace cleave::testing
