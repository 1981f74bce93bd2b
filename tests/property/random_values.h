// The values of a random graph while it grows, and what draws from them.
#pragma once

#include <algorithm>

#include "ops/builder.h"
#include "tests/property/random_graph.h"
#include "tests/support/draw.h"

namespace cleave::testing {

struct RandomValues : Draw {
  struct Known {
    ir::ValueId id;
    double magnitude;  // no element is larger
  };

  // `computed`: the type of the engine's values.
  RandomValues(const ops::Registry& registry, uint64_t seed, DType computed)
      : Draw(seed), type(computed), builder(model.graph, registry) {}
  RandomValues(const RandomValues&) = delete;

  // An extent from 1 to `most`; in half precision also one that vectors and tensor cores take.
  int64_t draw_extent(int64_t most) {
    if (type != DType::kFloat32 && chance(30)) return 8 * uniform(1, 2);
    return uniform(1, most);
  }

  HostTensor integers(std::vector<int64_t> shape, int64_t magnitude) {
    HostTensor tensor(DType::kFloat32, std::move(shape));
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      tensor.set(i, static_cast<double>(uniform(-magnitude, magnitude)));
    }
    return tensor;
  }

  Shape shape(const Known& known) const { return model.graph.type(known.id).shape; }

  // Recent values are likelier, so that graphs are deep.
  Known pick() {
    const auto size = static_cast<int64_t>(values.size());
    const int64_t back = std::min(uniform(0, size - 1), uniform(0, size - 1));
    return values[static_cast<size_t>(size - 1 - back)];
  }

  Known constant(const Shape& shape, int64_t magnitude) {
    const HostTensor value = integers(evaluate(shape, {}), magnitude);
    const std::string name = "w" + std::to_string(next++);
    return {model.graph.add_constant(name, ir::constant_value(value)),
            static_cast<double>(magnitude)};
  }

  // Whole numbers up to here are exact.
  double most_exact() const {
    if (type == DType::kFloat16) return 1 << 11;
    return type == DType::kBFloat16 ? 1 << 8 : 1 << 24;
  }

  // What might not be exact is used no further.
  void made(ir::ValueId id, double magnitude) {
    if (magnitude <= most_exact()) values.push_back({id, magnitude});
  }

  ir::ValueId op(std::string_view op, Attributes attributes, std::vector<ir::ValueId> inputs) {
    return builder.add1(std::string(op) + std::to_string(next++), op, std::move(attributes),
                        std::move(inputs));
  }

  ir::ValueId filled(Shape to, double value) {
    return builder.broadcast(builder.scalar(DType::kFloat32, value), to);
  }

  ir::ValueId times(ir::ValueId x, double factor) {
    return op("mul", {}, {x, filled(model.graph.type(x).shape, factor)});
  }

  // Between -limit and limit; a clip is exact.
  Known clipped(ir::ValueId x, double limit) {
    const Shape whole = model.graph.type(x).shape;
    const ir::ValueId top = op("min", {}, {x, filled(whole, limit)});
    return {op("max", {}, {top, filled(whole, -limit)}), limit};
  }

  // Magnitudes are brought down before they grow further: sums of products are mostly exact then.
  Known bounded(Known x) {
    const double most = std::clamp(most_exact() / 512, 1.0, 64.0);
    return x.magnitude <= most ? x : clipped(x.id, std::min(most, 8.0));
  }

  int64_t extent(const Dim& dim) const { return evaluate(Shape{dim}, model.symbols)[0]; }

  const DType type;
  RandomModel model;
  ops::Builder builder;
  std::vector<Known> values;
  int64_t next = 0;
};

// Adds an op that reaches elements by indices, or that works along one axis in order.
void add_indexed(RandomValues& values);
// Adds a convolution or a pooling, where the value drawn has dimensions for that.
void add_windowed(RandomValues& values);
// Adds an op that makes a larger or smaller tensor of the elements there are: pad, resize,
// grid_sample, reverse.
void add_resampled(RandomValues& values);
// Adds a normalisation, brought back to whole numbers.
void add_normalised(RandomValues& values);

}  // namespace cleave::testing
