#include "cost/measure.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "cost/image_specs.h"
#include "cost/op_cost.h"
#include "types/fused.h"

namespace cleave::cost {
namespace {

constexpr int64_t kRowElements = 512;   // of the tensors of other kernels than products
constexpr int64_t kHeadElements = 128;  // of an attention's head

TensorType f32(std::vector<int64_t> shape) {
  return {DType::kFloat32, Shape(shape.begin(), shape.end())};
}

template <class Point, class SameWork>
void keep_lower(std::vector<Point>& points, const std::vector<Point>& others,
                const SameWork& same_work) {
  for (const Point& other : others) {
    const auto found = std::find_if(points.begin(), points.end(),
                                    [&](const Point& point) { return same_work(point, other); });
    if (found == points.end()) {
      points.push_back(other);
    } else {
      found->us = std::min(found->us, other.us);
    }
  }
}

void keep_faster(DeviceModel& model, const DeviceModel& other) {
  model.launch_us = std::min(model.launch_us, other.launch_us);
  model.read_bytes_per_us = std::max(model.read_bytes_per_us, other.read_bytes_per_us);
  model.cache_bytes_per_us = std::max(model.cache_bytes_per_us, other.cache_bytes_per_us);
  model.cache_bytes = std::max(model.cache_bytes, other.cache_bytes);
  model.scalar_flops_per_us = std::max(model.scalar_flops_per_us, other.scalar_flops_per_us);
  keep_lower(model.products, other.products, [](const ProductPoint& a, const ProductPoint& b) {
    return a.op == b.op && a.product == b.product && a.dtype == b.dtype;
  });
  keep_lower(model.ops, other.ops, [](const OpPoint& a, const OpPoint& b) {
    return a.op == b.op && a.bytes == b.bytes && a.flops == b.flops && a.width == b.width;
  });
}

// The calls that a device model is made of share out the time: so much for each.
class Measurement {
 public:
  Measurement(Profiler& profiler, const ops::Registry& registry, const MeasurePlan& plan)
      : profiler_(profiler), registry_(registry), plan_(plan) {
    model_.devices = profiler.devices();
    model_.threads = profiler.threads();
    const size_t weighted = plan.rows.size() * plan.widths.size() * plan.widths.size();
    const size_t plain =
        plan.plain_rows.size() * plan.plain_widths.size() * plan.plain_widths.size();
    seconds_ = plan.seconds / plan.rounds / static_cast<double>(plan.types.size()) /
               static_cast<double>(weighted + plain + kOtherCalls);
  }

  DeviceModel run() {
    other_kernels();
    progress("launch overhead and memory");
    launch();
    memory();
    for (const DType type : plan_.types) {
      const std::string name = plan_.types.size() > 1 ? ", " + std::string(name_of(type)) : "";
      progress("normalisation, reductions, movements" + name);
      rows_of_kernels(type);
      progress("attention" + name);
      attention(type);
      progress("convolutions" + name);
      images(type);
      progress("matrix products with weights" + name);
      products(plan_.rows, plan_.widths, true, type);
      progress("matrix products of activations" + name);
      products(plan_.plain_rows, plan_.plain_widths, false, type);
    }
    return std::move(model_);
  }

 private:
  static constexpr size_t kOtherCalls = 400;

  void progress(const std::string& what) const {
    if (plan_.progress) plan_.progress(what);
  }

  // Types of the results come from the op's definition.
  void infer(KernelSpec& spec) const {
    if (!spec.outputs.empty()) return;
    spec.outputs = registry_.at(spec.op).infer_types({spec.attributes, spec.inputs});
  }

  std::optional<double> time(KernelSpec& spec) {
    infer(spec);
    return profiler_.kernel_us(spec, seconds_);
  }

  void measure_op(KernelSpec spec) {
    const auto us = time(spec);
    if (!us) return;
    const OpCost cost =
        op_cost(registry_.at(spec.op), {spec.attributes, spec.inputs}, spec.outputs);
    if (cost.has_product) {
      Product product = cost.product;
      product.packed = spec.weight;
      const DType type = spec.outputs[0].dtype;
      model_.products.push_back({product, type, *us, cost.name(spec.format)});
    } else {
      const std::string name = name_in_type(cost.name(spec.format), spec.outputs[0].dtype);
      model_.ops.push_back({name, cost.bytes, cost.flops, *us, cost.width});
    }
  }

  // What is float32 in it in another type.
  static void in_type(KernelSpec& spec, DType type) {
    for (auto* types : {&spec.inputs, &spec.outputs}) {
      for (TensorType& one : *types) {
        if (one.dtype == DType::kFloat32) one.dtype = type;
      }
    }
  }

  static KernelSpec chain(const std::vector<std::string>& ops, int32_t operands, int64_t rows,
                          int64_t width) {
    FusedProgram program;
    program.inputs = operands;
    int32_t last = 0;
    for (const std::string& op : ops) {
      FusedStep step;
      step.op = op;
      step.args = {last};
      if (op == "add") step.args.push_back(1);
      last = operands + static_cast<int32_t>(program.steps.size());
      program.steps.push_back(step);
    }
    program.outputs = {last};
    KernelSpec spec{.op = "fused_elementwise", .attributes = {}, .inputs = {}, .outputs = {}};
    program.to_attributes(spec.attributes);
    spec.inputs.assign(static_cast<size_t>(operands), f32({rows, width}));
    spec.outputs = {f32({rows, width})};
    return spec;
  }

  std::optional<double> chain_us(const std::vector<std::string>& ops, int32_t operands,
                                 int64_t rows, int64_t width) {
    KernelSpec spec = chain(ops, operands, rows, width);
    return time(spec);
  }

  // One small kernel of each kind.
  void other_kernels() {
    std::vector<KernelSpec> others = {chain({"exp", "tanh"}, 1, 1, 64), chain({"add"}, 2, 1, 64)};
    const TensorType x = f32({4, 64});
    const TensorType row = f32({64});
    others.push_back({"layer_norm", {{"axes", Dim(1)}, {"epsilon", 1e-5}}, {x, row, row}, {}});
    others.push_back({"softmax", {{"axis", Dim(1)}}, {x}, {}});
    others.push_back({"reduce_sum", {{"axes", std::vector<Dim>{1}}}, {x}, {}});
    others.push_back({"matmul", {}, {x, f32({64, 64})}, {}});
    std::set<std::string_view> seen;
    for (KernelSpec& spec : image_specs()) {
      if (spec.format == Format::kChannelsLast && seen.insert(spec.op).second) {
        others.push_back(std::move(spec));
      }
    }
    for (KernelSpec& spec : others) infer(spec);
    profiler_.run_between(others);
  }

  void launch() {
    if (const auto us = chain_us({"add"}, 2, 1, 16)) model_.launch_us = *us;
  }

  // A chain that adds reads two tensors and writes one.
  void memory() {
    std::vector<OpPoint> points;
    for (int64_t elements = 256; elements <= int64_t{16} << 20; elements *= 4) {
      const int64_t width = std::min(elements, kRowElements);
      if (const auto us = chain_us({"add"}, 2, elements / width, width)) {
        points.push_back({"fused_elementwise", 12.0 * static_cast<double>(elements), 0, *us});
      }
    }
    const auto speed = [&](const OpPoint& point) {
      return point.bytes / std::max(point.us - model_.launch_us, 0.1 * point.us);
    };
    double fastest = 0;
    for (const OpPoint& point : points) {
      if (point.bytes >= 64 << 10) fastest = std::max(fastest, speed(point));
    }
    if (fastest > 0) {
      model_.cache_bytes_per_us = fastest;
      model_.read_bytes_per_us = speed(points.back());
      // The cache ends where streaming is half way down to memory's speed.
      const double half = std::sqrt(fastest * model_.read_bytes_per_us);
      for (const OpPoint& point : points) {
        if (point.bytes >= 64 << 10 && speed(point) >= half) model_.cache_bytes = point.bytes;
      }
    }
    model_.ops.insert(model_.ops.end(), points.begin(), points.end());
    functions();
  }

  // A function's cost is what it adds to a chain, of so much work that what a kernel costs at all
  // does not hide it; where moving hides it, what a chain of several takes.
  void functions() {
    constexpr double kLaunches = 20;
    constexpr int64_t kMostRows = 1 << 15;
    for (int64_t rows = 128; rows <= kMostRows; rows *= 4) {
      const auto plain = chain_us({"relu"}, 1, rows, kRowElements);
      const auto with = chain_us({"tanh", "gelu", "exp", "erf"}, 1, rows, kRowElements);
      if (!plain || !with) return;
      const double least = plan_.computes_while_moving ? model_.launch_us : *plain;
      const double more = std::max(*with - least, 0.05 * *with);
      model_.scalar_flops_per_us = 4.0 * static_cast<double>(rows * kRowElements) / more;
      if (*plain >= kLaunches * model_.launch_us) return;
    }
  }

  // Kernels that work on rows.
  void rows_of_kernels(DType type) {
    for (const int64_t rows : plan_.kernel_rows) {
      const auto of = [&](const Shape& shape) { return TensorType{type, shape}; };
      for (const int64_t width : plan_.row_widths) {
        const int64_t count = rows * kRowElements / width;
        if (count == 0) continue;
        const TensorType x = of({count, width});
        const TensorType row = of({width});
        const Attributes norm = {{"axes", Dim(1)}, {"epsilon", 1e-5}};
        measure_op({"layer_norm", norm, {x, row, row}, {}});
        measure_op({"rms_norm", norm, {x, row}, {}});
      }
      const TensorType x = of({rows, kRowElements});
      measure_op({"softmax", {{"axis", Dim(1)}}, {x}, {}});
      const TensorType angles = of({rows, kHeadElements / 2});
      measure_op({"rotary",
                  {},
                  {of({kRowElements / kHeadElements, rows, kHeadElements}), angles, angles},
                  {}});
      measure_op({"reduce_sum", {{"axes", std::vector<Dim>{1}}}, {x}, {}});
      measure_op({"reduce_sum", {{"axes", std::vector<Dim>{0}}}, {x}, {}});
      measure_op({.op = "gather",
                  .attributes = {{"axis", Dim(0)}},
                  .inputs = {of({20000, kRowElements}), {DType::kInt64, {rows}}},
                  .outputs = {},
                  .index_extent = 20000});
      for (const int64_t run : {1, 8, 64, 512}) copies(type, rows, run);
    }
    monotone_ops();
  }

  // Copies of views in which `run` elements lie one behind the other: columns become rows.
  void copies(DType type, int64_t rows, int64_t run) {
    const int64_t columns = kRowElements / run;
    const TensorType x = {type, {columns, rows, run}};
    KernelSpec copy{.op = "copy", .attributes = {}, .inputs = {x}, .outputs = {x}};
    copy.strides = {run, kRowElements, 1};
    const double bytes = 2.0 * static_cast<double>(x.bytes().constant());
    const auto us = time(copy);
    if (us) model_.ops.push_back({name_in_type("copy", type), bytes, 0, *us, run});
  }

  void images(DType type) {
    const size_t begin = model_.products.size();
    const KernelSpec* before = nullptr;
    double before_us = 0;
    std::vector<KernelSpec> specs = image_specs();
    if (plan_.large_images) std::ranges::move(large_image_specs(), std::back_inserter(specs));
    for (KernelSpec& spec : specs) {
      in_type(spec, type);
      // Images grow, and time with them.
      const bool grows = before != nullptr && before->weight && spec.weight &&
                         before->format == spec.format && before->inputs[1] == spec.inputs[1];
      const double more = grows ? static_cast<double>(spec.inputs[0].elements().constant()) /
                                      static_cast<double>(before->inputs[0].elements().constant())
                                : 0;
      if (before_us * more > plan_.largest_us) continue;
      const size_t products = model_.products.size();
      const size_t ops = model_.ops.size();
      measure_op(spec);
      if (model_.products.size() > products) before_us = model_.products.back().us;
      if (model_.ops.size() > ops) before_us = model_.ops.back().us;
      before = &spec;
    }
    monotone_products(begin);
    monotone_ops();
  }

  void attention(DType type) {
    // Keys far more than queries: one new token. Then as many as queries.
    struct Size {
      int64_t heads, queries, keys;
    };
    std::vector<Size> sizes;
    for (const int64_t heads : {1, 8, 32}) {
      for (const int64_t keys : plan_.kept_lengths) sizes.push_back({heads, 1, keys});
      for (const int64_t both : plan_.lengths) sizes.push_back({heads, both, both});
    }
    for (const int64_t depth : {32, 64, 128}) {
      for (const auto& [heads, queries, keys] : sizes) {
        if (heads * queries * keys > plan_.largest_scores) continue;
        const TensorType q = f32({1, heads, queries, depth});
        const TensorType kv = f32({1, heads, keys, depth});
        KernelSpec spec = {"attention", {{"scale", 0.125}}, {q, kv, kv}, {}};
        if (plan_.has_mask) spec.inputs.push_back(f32({1, 1, queries, keys}));
        in_type(spec, type);
        measure_op(spec);
        if (plan_.has_mask || queries == 1) continue;
        spec.attributes.set("causal", Dim(1));
        measure_op(std::move(spec));
      }
    }
    monotone_ops();
  }

  void products(const std::vector<int64_t>& rows, const std::vector<int64_t>& widths, bool weight,
                DType type) {
    const size_t begin = model_.products.size();
    for (const int64_t n : widths) {
      for (const int64_t k : widths) {
        if (n * k > plan_.largest_weight) continue;
        double before_us = 0;
        int64_t before = 0;
        for (const int64_t m : rows) {
          // Time grows no faster than the rows.
          if (before_us * static_cast<double>(m) > plan_.largest_us * static_cast<double>(before)) {
            break;
          }
          KernelSpec spec{.op = "matmul",
                          .attributes = {},
                          .inputs = {f32({m, k}), f32({k, n})},
                          .outputs = {},
                          .weight = weight};
          in_type(spec, type);
          const auto us = time(spec);
          if (!us) break;
          model_.products.push_back({{1, m, n, k, weight}, type, *us});
          before = m;
          before_us = *us;
        }
      }
    }
    monotone_products(begin);
  }

  // Disturbances only add time: a call took no longer than any that does more.
  void monotone_products(size_t begin) {
    const std::span<ProductPoint> points = std::span(model_.products).subspan(begin);
    std::vector<double> least;
    for (const ProductPoint& a : points) {
      double us = a.us;
      for (const ProductPoint& b : points) {
        const bool more = b.op == a.op && b.product.packed == a.product.packed &&
                          b.product.m >= a.product.m && b.product.n >= a.product.n &&
                          b.product.k >= a.product.k;
        if (more) us = std::min(us, b.us);
      }
      least.push_back(std::max(us, model_.launch_us));
    }
    for (size_t i = 0; i < points.size(); ++i) points[i].us = least[i];
  }

  void monotone_ops() {
    for (OpPoint& a : model_.ops) {
      for (const OpPoint& b : model_.ops) {
        if (b.op == a.op && b.width == a.width && b.bytes >= a.bytes && b.flops >= a.flops)
          a.us = std::min(a.us, b.us);
      }
      a.us = std::max(a.us, model_.launch_us);
    }
  }

  Profiler& profiler_;
  const ops::Registry& registry_;
  const MeasurePlan& plan_;
  DeviceModel model_;
  double seconds_ = 0;
};

}  // namespace

MeasurePlan gpu_measure_plan() {
  MeasurePlan plan;
  plan.rows = {1, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
  plan.widths = {128, 512, 2048, 8192, 32768};
  plan.plain_rows = {1, 64, 512, 2048};
  plan.plain_widths = {64, 512, 2048};
  plan.largest_us = 20e3;
  plan.largest_weight = int64_t{1} << 28;
  plan.types = {DType::kFloat32, DType::kFloat16};
  plan.kernel_rows = {1, 8, 64, 512, 4096, 32768, 262144};
  plan.row_widths = {8192, 2048, 512, 64};
  plan.lengths = {16, 128, 512, 1024, 2048, 4096};
  plan.kept_lengths = {128, 1024, 8192};
  // Networks worth a GPU look at everything, or back: neither has a mask to read.
  plan.has_mask = false;
  plan.computes_while_moving = true;
  plan.largest_scores = int64_t{1} << 30;
  plan.largest_collective = int64_t{1} << 30;
  plan.large_images = true;
  plan.rounds = 1;  // nobody else is on them
  return plan;
}

DeviceModel measure_device(Profiler& profiler, const ops::Registry& registry,
                           const MeasurePlan& plan) {
  DeviceModel model = Measurement(profiler, registry, plan).run();
  for (int round = 1; round < plan.rounds; ++round) {
    keep_faster(model, Measurement(profiler, registry, plan).run());
  }
  return model;
}

namespace {

std::vector<CollectivePoint> collectives_once(Profiler& profiler, const MeasurePlan& plan) {
  static constexpr const char* kOps[] = {"all_reduce", "all_gather", "reduce_scatter",
                                         "all_to_all"};
  std::set<int64_t> groups;
  for (int64_t ranks = 2; ranks < profiler.devices(); ranks *= 2) groups.insert(ranks);
  if (profiler.devices() >= 2) groups.insert(profiler.devices());
  std::vector<int64_t> sizes;
  for (int64_t bytes = 1 << 10; bytes <= plan.largest_collective; bytes *= 4) {
    sizes.push_back(bytes);
  }
  const double seconds = plan.seconds / plan.rounds /
                         static_cast<double>(groups.size() * std::size(kOps) * sizes.size() + 1);
  std::vector<CollectivePoint> points;
  for (const int64_t ranks : groups) {
    if (plan.progress) plan.progress("collectives between " + std::to_string(ranks) + " devices");
    for (const char* op : kOps) {
      const size_t begin = points.size();
      for (const int64_t bytes : sizes) {
        points.push_back({op, ranks, static_cast<double>(bytes),
                          profiler.collective_us(op, ranks, bytes, seconds)});
      }
      // As for kernels: no call takes longer than one that moves more.
      for (size_t i = points.size() - 1; i-- > begin;) {
        points[i].us = std::min(points[i].us, points[i + 1].us);
      }
    }
  }
  return points;
}

}  // namespace

std::vector<CollectivePoint> measure_collectives(Profiler& profiler, const MeasurePlan& plan) {
  std::vector<CollectivePoint> points = collectives_once(profiler, plan);
  for (int round = 1; round < plan.rounds; ++round) {
    keep_lower(points, collectives_once(profiler, plan),
               [](const CollectivePoint& a, const CollectivePoint& b) {
                 return a.op == b.op && a.ranks == b.ranks && a.bytes == b.bytes;
               });
  }
  return points;
}

}  // namespace cleave::cost
