// Random ops that reach elements by indices, or that work along one axis in order.
#include "tests/property/random_values.h"

namespace cleave::testing {
namespace {

class Indexing {
 public:
  explicit Indexing(RandomValues& values)
      : values_(values), x_(values.bounded(values.pick())), dims_(values.shape(x_)) {
    axis_ = static_cast<size_t>(values.uniform(0, static_cast<int64_t>(dims_.size()) - 1));
  }

  void add() {
    if (!dims_[axis_].is_constant() || dims_[axis_].is(0)) return;
    switch (values_.uniform(0, 5)) {
      case 0:
        return add_gather_elements();
      case 1:
        return add_gather_nd();
      case 2:
        return add_scatter_nd();
      case 3:
        return add_cumsum();
      case 4:
        return add_top_k();
      default:
        return add_gather();
    }
  }

 private:
  Attributes along_axis() const { return {{"axis", Dim(static_cast<int64_t>(axis_))}}; }

  ir::ValueId indices(std::vector<int64_t> shape, int64_t extent) {
    HostTensor tensor(DType::kInt64, std::move(shape));
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      tensor.set_integer(i, values_.uniform(-extent, extent - 1));
    }
    return values_.model.graph.add_constant("i" + std::to_string(values_.next++),
                                            ir::constant_value(tensor));
  }

  void add_gather() {
    const ir::ValueId i = indices({values_.uniform(1, 5)}, dims_[axis_].constant());
    values_.made(values_.op("gather", along_axis(), {x_.id, i}), x_.magnitude);
  }

  void add_gather_elements() {
    const auto is_constant = [](const Dim& dim) { return dim.is_constant(); };
    if (!std::all_of(dims_.begin(), dims_.end(), is_constant)) return;
    std::vector<int64_t> shape = evaluate(dims_, {});
    shape[axis_] = values_.uniform(1, 5);
    const ir::ValueId i = indices(shape, dims_[axis_].constant());
    values_.made(values_.op("gather_elements", along_axis(), {x_.id, i}), x_.magnitude);
  }

  void add_gather_nd() {
    if (!dims_[0].is_constant() || dims_[0].is(0)) return;
    const ir::ValueId i = indices({values_.uniform(1, 5), 1}, dims_[0].constant());
    values_.made(values_.op("gather_nd", {}, {x_.id, i}), x_.magnitude);
  }

  // Rows of x go into rows of x, so that both may be Partial.
  void add_scatter_nd() {
    if (!dims_[0].is_constant() || dims_[0].is(0)) return;
    const int64_t count = values_.uniform(1, 3);
    const ir::ValueId from = indices({count, 1}, dims_[0].constant());
    const ir::ValueId rows = values_.op("gather_nd", {}, {x_.id, from});
    static const char* const kReductions[] = {"", "sum", "max", "min"};
    const std::string reduce = kReductions[values_.uniform(0, 3)];
    Attributes attributes;
    if (!reduce.empty()) attributes.set("reduce", reduce);
    const ir::ValueId to = indices({count, 1}, dims_[0].constant());
    values_.made(values_.op("scatter_nd", attributes, {x_.id, to, rows}),
                 x_.magnitude * static_cast<double>(1 + count));
  }

  void add_cumsum() {
    Attributes attributes = along_axis();
    attributes.set("exclusive", Dim(values_.uniform(0, 1)));
    attributes.set("reverse", Dim(values_.uniform(0, 1)));
    const auto extent = static_cast<double>(dims_[axis_].constant());
    values_.made(values_.op("cumsum", attributes, {x_.id}), x_.magnitude * extent);
  }

  void add_top_k() {
    Attributes attributes = along_axis();
    attributes.set("k", Dim(values_.uniform(1, dims_[axis_].constant())));
    attributes.set("largest", Dim(values_.uniform(0, 1)));
    const std::string name = "top_k" + std::to_string(values_.next++);
    const ir::ValueId top = values_.builder.add(name, "top_k", attributes, {x_.id})[0];
    values_.made(top, x_.magnitude);
  }

  RandomValues& values_;
  RandomValues::Known x_;
  Shape dims_;
  size_t axis_;
};

}  // namespace

void add_indexed(RandomValues& values) { Indexing(values).add(); }

}  // namespace cleave::testing
