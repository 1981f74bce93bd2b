#include "tests/property/random_graph.h"

#include <algorithm>
#include <numeric>

#include "tests/property/random_values.h"

namespace cleave::testing {
namespace {

constexpr double kMostFloat16 = 65504;

class Generator : RandomValues {
 public:
  using RandomValues::RandomValues;

  RandomModel run() {
    add_inputs();
    const int64_t nodes = uniform(4, 14);
    for (int64_t i = 0; i < nodes; ++i) add_op();
    // Whatever nobody reads is an output, so that nothing is dead.
    const auto uses = model.graph.uses();
    for (const Known& known : values) {
      if (uses[known.id.index()].empty()) model.graph.add_output(known.id);
    }
    if (model.graph.outputs().empty()) model.graph.add_output(values.back().id);
    return std::move(model);
  }

 private:
  void add_inputs() {
    const bool dynamic = chance(40);
    model.symbols["batch"] = uniform(1, 5);
    const int64_t count = uniform(1, 3);
    for (int64_t i = 0; i < count; ++i) {
      Shape shape;
      const int64_t rank = uniform(2, 4);
      for (int64_t d = 0; d < rank; ++d) shape.push_back(draw_extent(7));
      if (dynamic) shape[0] = Dim::symbol("batch");
      const ir::ValueId id =
          model.graph.add_input("x" + std::to_string(i), {DType::kFloat32, shape});
      model.inputs.push_back(integers(evaluate(shape, model.symbols), 4));
      values.push_back({id, 4});
    }
    if (!dynamic) model.symbols.clear();
  }

  void add_op() {
    switch (uniform(0, 19)) {
      case 0:
      case 1:
        return add_matmul();
      case 2:
        return add_unary();
      case 3:
      case 4:
        return add_binary();
      case 5:
        return add_bias();
      case 6:
        return add_reduce();
      case 7:
        return add_transpose();
      case 8:
        return add_reshape();
      case 9:
        return add_slice();
      case 10:
        return add_split_or_concat();
      case 11:
      case 12:
        return add_fused();
      case 13:
      case 14:
        return add_windowed(*this);
      case 15:
      case 16:
        return add_resampled(*this);
      case 17:
        return add_normalised(*this);
      case 18:
        return add_attention();
      default:
        return add_indexed(*this);
    }
  }

  void add_matmul() {
    const Known a = bounded(pick());
    const Shape dims = shape(a);
    if (dims.size() < 2 || !dims.back().is_constant()) return;
    const int64_t k = dims.back().constant();
    const int64_t n = draw_extent(9);
    Attributes attributes;
    Shape weight = {k, n};
    if (chance(30)) {
      attributes.set("transpose_b", Dim(1));
      weight = {n, k};
    }
    const Known b = constant(weight, 3);
    made(op("matmul", attributes, {a.id, b.id}), a.magnitude * 3 * static_cast<double>(k));
  }

  void add_unary() {
    const Known x = pick();
    static const char* const kOps[] = {"neg", "abs", "relu", "sign"};
    made(op(kOps[uniform(0, 3)], {}, {x.id}), x.magnitude);
  }

  void add_binary() {
    const Known a = bounded(pick());
    std::vector<Known> same;
    for (const Known& other : values) {
      if (shape(other) == shape(a)) same.push_back(other);
    }
    const Known b = bounded(of(same));
    static const char* const kOps[] = {"add", "sub", "mul", "max", "min"};
    const int64_t which = uniform(0, 4);
    made(op(kOps[which], {}, {a.id, b.id}),
         which == 2 ? a.magnitude * b.magnitude : a.magnitude + b.magnitude);
  }

  void add_bias() {
    const Known x = bounded(pick());
    const Shape dims = shape(x);
    if (!dims.back().is_constant()) return;
    const Known bias = constant({dims.back()}, 5);
    const ir::ValueId wide = builder.broadcast(bias.id, dims);
    made(op(chance(70) ? "add" : "mul", {}, {x.id, wide}), x.magnitude * 5 + 5);
  }

  void add_reduce() {
    const Known x = bounded(pick());
    const Shape dims = shape(x);
    if (dims.size() < 2) return;
    const int64_t axis = uniform(0, static_cast<int64_t>(dims.size()) - 1);
    static const char* const kOps[] = {"reduce_sum", "reduce_max", "reduce_min"};
    Attributes attributes;
    attributes.set("axes", std::vector<Dim>{Dim(axis)});
    const auto terms = static_cast<double>(extent(dims[static_cast<size_t>(axis)]));
    made(op(kOps[uniform(0, 2)], attributes, {x.id}), x.magnitude * std::max(1.0, terms));
  }

  void add_transpose() {
    const Known x = pick();
    std::vector<Dim> perm;
    for (size_t d = 0; d < shape(x).size(); ++d) perm.push_back(static_cast<int64_t>(d));
    std::shuffle(perm.begin(), perm.end(), random);
    Attributes attributes;
    attributes.set("perm", perm);
    made(op("transpose", attributes, {x.id}), x.magnitude);
  }

  void add_reshape() {
    const Known x = pick();
    Shape dims = shape(x);
    const size_t at = static_cast<size_t>(uniform(0, static_cast<int64_t>(dims.size()) - 1));
    if (dims.size() > 1 && chance(50)) {
      const size_t first = std::min(at, dims.size() - 2);
      dims[first] = dims[first] * dims[first + 1];
      dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(first) + 1);
    } else {
      if (!dims[at].is_constant()) return;
      const int64_t extent = dims[at].constant();
      std::vector<int64_t> divisors;
      for (int64_t d = 1; d <= extent; ++d) {
        if (extent % d == 0) divisors.push_back(d);
      }
      if (divisors.empty()) return;
      const int64_t outer = of(divisors);
      dims[at] = outer;
      dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(at) + 1, Dim(extent / outer));
    }
    Attributes attributes;
    attributes.set("shape", dims);
    made(op("reshape", attributes, {x.id}), x.magnitude);
  }

  void add_slice() {
    const Known x = pick();
    const Shape dims = shape(x);
    const auto at = static_cast<size_t>(uniform(0, static_cast<int64_t>(dims.size()) - 1));
    if (!dims[at].is_constant() || dims[at].constant() < 2) return;
    const int64_t step = chance(70) ? 1 : uniform(2, 3);
    const int64_t first = uniform(0, dims[at].constant() - 1);
    const int64_t extent = uniform(1, (dims[at].constant() - first + step - 1) / step);
    made(part(x.id, at, first, extent, step), x.magnitude);
  }

  ir::ValueId part(ir::ValueId x, size_t axis, int64_t first, const Dim& count, int64_t step = 1) {
    const Shape dims = model.graph.type(x).shape;
    std::vector<Dim> begin(dims.size(), Dim(0));
    std::vector<Dim> extent(dims.begin(), dims.end());
    std::vector<Dim> steps(dims.size(), Dim(1));
    begin[axis] = first;
    extent[axis] = count;
    steps[axis] = step;
    return op("slice", {{"begin", begin}, {"extent", extent}, {"step", steps}}, {x});
  }

  ir::ValueId reshaped(ir::ValueId x, const Shape& to) {
    return op("reshape", {{"shape", to}}, {x});
  }

  // The product of one weight that is several side by side, as query, key and value: their heads,
  // told apart in one of the ways in which models do it, and used together.
  void add_fused() {
    const Known a = bounded(pick());
    Shape rows = shape(a);
    if (rows.size() < 2 || rows.size() > 3 || !rows.back().is_constant()) return;
    const int64_t k = rows.back().constant();
    rows.pop_back();
    const int64_t parts = uniform(2, 3);
    const int64_t heads = uniform(1, 5);
    const int64_t size = draw_extent(3);
    const Known weight = constant({k, parts * heads * size}, 3);
    const double magnitude = a.magnitude * 3 * static_cast<double>(k);
    const ir::ValueId fused = op("matmul", {}, {a.id, weight.id});
    std::vector<ir::ValueId> found;
    switch (uniform(0, 3)) {
      case 0:
        found = side_by_side(fused, rows, parts, heads, size);
        break;
      case 1:
        found = stacked(fused, rows, {parts, heads, size}, rows.size());
        break;
      case 2:
        found = stacked(fused, rows, {heads, parts, size}, rows.size() + 1);
        break;
      default:
        found = interleaved(fused, rows, parts, heads, size);
        break;
    }
    ir::ValueId sum = found[0];
    for (size_t i = 1; i < found.size(); ++i) sum = op("add", {}, {sum, found[i]});
    made(found[0], magnitude);
    if (chance(50)) return made(sum, magnitude * static_cast<double>(parts));
    Shape joined = rows;
    joined.push_back(heads * size);
    made(reshaped(sum, joined), magnitude * static_cast<double>(parts));
  }

  // Heads that are told apart and mostly joined again, as in transformers. A position sees one key,
  // so that results are whole numbers.
  void add_attention() {
    const Known a = bounded(pick());
    Shape rows = shape(a);
    if (rows.size() < 2 || rows.size() > 3 || !rows.back().is_constant()) return;
    const int64_t k = rows.back().constant();
    rows.pop_back();
    const Dim batches = rows.size() == 1 ? rows[0] : rows[0] * rows[1];
    const int64_t positions = draw_extent(4);
    const int64_t heads = uniform(1, 5);
    const int64_t size = draw_extent(4);
    const int64_t largest = type == DType::kFloat32 ? 3 : 1;
    const double magnitude = a.magnitude * static_cast<double>(largest * k);
    // Scores, which may be values of their own, need not be exact, but finite.
    if (type == DType::kFloat16 &&
        magnitude * magnitude * static_cast<double>(size) > kMostFloat16) {
      return;
    }
    const std::vector<Dim> turn = {0, 2, 1, 3};
    std::vector<ir::ValueId> operands;
    for (int i = 0; i < 3; ++i) {
      const Known weight = constant({k, positions * heads * size}, largest);
      const ir::ValueId product = op("matmul", {}, {a.id, weight.id});
      const ir::ValueId wide = reshaped(product, with({batches}, {positions, heads, size}));
      operands.push_back(op("transpose", {{"perm", turn}}, {wide}));
    }
    HostTensor seen(DType::kBool, {1, 1, positions, positions});
    for (int64_t i = 0; i < positions; ++i) seen.set(i * positions + uniform(0, positions - 1), 1);
    operands.push_back(model.graph.add_constant("seen" + std::to_string(next++),
                                                ir::constant_value(std::move(seen))));
    const ir::ValueId attended = op("attention", {{"scale", 0.5}}, operands);
    if (chance(30)) return made(attended, magnitude);
    const ir::ValueId turned = op("transpose", {{"perm", turn}}, {attended});
    made(reshaped(turned, with({batches}, {positions, heads * size})), magnitude);
  }

  Shape with(Shape rows, std::initializer_list<int64_t> dims) {
    rows.insert(rows.end(), dims.begin(), dims.end());
    return rows;
  }

  // [.., parts · heads · size] split along the last dimension.
  std::vector<ir::ValueId> side_by_side(ir::ValueId fused, const Shape& rows, int64_t parts,
                                        int64_t heads, int64_t size) {
    const std::vector<Dim> sizes(static_cast<size_t>(parts), Dim(heads * size));
    auto found =
        builder.add("split" + std::to_string(next++), "split",
                    {{"axis", Dim(static_cast<int64_t>(rows.size()))}, {"sizes", sizes}}, {fused});
    for (ir::ValueId& value : found) value = reshaped(value, with(rows, {heads, size}));
    return found;
  }

  // Reshaped to `dims` behind the rows, the parts along `axis` of that; these lie before all other
  // dimensions when they are taken, or stay where they are.
  std::vector<ir::ValueId> stacked(ir::ValueId fused, const Shape& rows,
                                   std::initializer_list<int64_t> dims, size_t axis) {
    ir::ValueId wide = reshaped(fused, with(rows, dims));
    if (chance(50)) {
      std::vector<Dim> perm = {static_cast<int64_t>(axis)};
      for (size_t d = 0; d < rows.size() + 3; ++d) {
        if (d != axis) perm.emplace_back(static_cast<int64_t>(d));
      }
      wide = op("transpose", {{"perm", perm}}, {wide});
      axis = 0;
    }
    Shape taken = model.graph.type(wide).shape;
    const int64_t parts = taken[axis].constant();
    std::vector<ir::ValueId> found;
    if (chance(50)) {
      found = builder.add("split" + std::to_string(next++), "split",
                          {{"axis", Dim(static_cast<int64_t>(axis))},
                           {"sizes", std::vector<Dim>(static_cast<size_t>(parts), Dim(1))}},
                          {wide});
    } else {
      for (int64_t i = 0; i < parts; ++i) found.push_back(part(wide, axis, i, 1));
    }
    taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(axis));
    for (ir::ValueId& value : found) value = reshaped(value, taken);
    return found;
  }

  // Every element of the last dimension belongs to the next part.
  std::vector<ir::ValueId> interleaved(ir::ValueId fused, const Shape& rows, int64_t parts,
                                       int64_t heads, int64_t size) {
    std::vector<ir::ValueId> found;
    for (int64_t i = 0; i < parts; ++i) {
      const ir::ValueId value = part(fused, rows.size(), i, heads * size, parts);
      found.push_back(reshaped(value, with(rows, {heads, size})));
    }
    return found;
  }

  void add_split_or_concat() {
    const Known x = pick();
    const Shape dims = shape(x);
    const auto axis = static_cast<size_t>(uniform(0, static_cast<int64_t>(dims.size()) - 1));
    Attributes attributes;
    attributes.set("axis", Dim(static_cast<int64_t>(axis)));
    if (chance(50)) {
      if (!dims[axis].is_constant() || dims[axis].constant() < 2) return;
      const int64_t first = uniform(1, dims[axis].constant() - 1);
      attributes.set("sizes", std::vector<Dim>{first, dims[axis] - first});
      for (ir::ValueId id :
           builder.add("split" + std::to_string(next++), "split", attributes, {x.id})) {
        made(id, x.magnitude);
      }
      return;
    }
    const Known other = pick();
    if (shape(other).size() != dims.size()) return;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (d != axis && shape(other)[d] != dims[d]) return;
    }
    made(op("concat", attributes, {x.id, other.id}), std::max(x.magnitude, other.magnitude));
  }
};

}  // namespace

RandomModel random_model(const ops::Registry& registry, uint64_t seed, DType type) {
  return Generator(registry, seed, type).run();
}

}  // namespace cleave::testing
