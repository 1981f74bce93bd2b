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
    switch (values_.uniform(0, 7)) {
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
      case 5:
        return add_scatter_elements();
      case 6:
        return add_arg_extreme();
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

  // As scatter_nd, along one axis.
  void add_scatter_elements() {
    const auto is_constant = [](const Dim& dim) { return dim.is_constant(); };
    if (!std::all_of(dims_.begin(), dims_.end(), is_constant)) return;
    std::vector<int64_t> shape = evaluate(dims_, {});
    shape[axis_] = values_.uniform(1, 3);
    const int64_t extent = dims_[axis_].constant();
    const ir::ValueId from = indices(shape, extent);
    const ir::ValueId taken = values_.op("gather_elements", along_axis(), {x_.id, from});
    static const char* const kReductions[] = {"", "sum", "max", "min"};
    const std::string reduce = kReductions[values_.uniform(0, 3)];
    Attributes attributes = along_axis();
    if (!reduce.empty()) attributes.set("reduce", reduce);
    const auto count = static_cast<double>(1 + shape[axis_]);
    values_.made(values_.op("scatter_elements", attributes, {x_.id, indices(shape, extent), taken}),
                 x_.magnitude * count);
  }

  void add_arg_extreme() {
    if (dims_.size() == 1) return;
    const ir::ValueId at =
        values_.op(values_.chance(50) ? "arg_max" : "arg_min", along_axis(), {x_.id});
    values_.made(values_.op("cast", {{"to", DType::kFloat32}}, {at}),
                 static_cast<double>(dims_[axis_].constant()));
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
    const std::vector<ir::ValueId> top = values_.builder.add(name, "top_k", attributes, {x_.id});
    values_.made(top[0], x_.magnitude);
    const ir::ValueId where = values_.op("cast", {{"to", DType::kFloat32}}, {top[1]});
    values_.made(where, static_cast<double>(dims_[axis_].constant()));
  }

  RandomValues& values_;
  RandomValues::Known x_;
  Shape dims_;
  size_t axis_;
};

}  // namespace

void add_indexed(RandomValues& values) { Indexing(values).add(); }

}  // namespace cleave::testing
