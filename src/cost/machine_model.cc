#include "cost/machine_model.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "cost/curve.h"
#include "types/format.h"

namespace cleave::cost {
namespace {

double flops_of(const Product& p) {
  return 2.0 * static_cast<double>(p.batch) * static_cast<double>(p.m) * static_cast<double>(p.n) *
         static_cast<double>(p.k);
}

// The name of a kernel in row-major.
std::string_view without_format(std::string_view op) {
  static const std::string kSuffix = "." + std::string(name_of(Format::kChannelsLast));
  return op.ends_with(kSuffix) ? op.substr(0, op.size() - kSuffix.size()) : op;
}

bool is_half(DType type) { return type == DType::kFloat16 || type == DType::kBFloat16; }

// Kernels of both half precisions take the same time.
DType half_like(DType type) { return is_half(type) ? DType::kFloat16 : type; }

// Where values of one axis lie outside the grid, time grows with them; below it, it does not
// shrink: a kernel's block is not filled.
double beyond(const Bracket& at, double x) {
  return at.lower == at.upper && x > at.upper ? x / at.upper : 1;
}

// Times of products: curves over m, one for each measured n and k, interpolated between them.
class ProductGrid {
 public:
  ProductGrid(const DeviceModel& device, std::string_view op, DType dtype, bool packed)
      : launch_(device.launch_us) {
    // Measured as a plain product, or in another type: better than arithmetic alone. In half
    // precision images whose channels lie innermost are as good as a plain product; kernels of
    // float32 gain nothing by it.
    const std::string_view own = is_half(dtype) ? op : without_format(op);
    for (const std::string_view measured : {op, own, std::string_view("matmul")}) {
      for (const DType type : {dtype, half_like(dtype), DType::kFloat32}) {
        if (collect(device, measured, type, packed)) return;
        if (collect(device, measured, type, !packed)) return;
      }
    }
  }

  // Nothing where no product was measured.
  std::optional<double> us(const Product& product) const {
    if (points_.empty()) return std::nullopt;
    const double n = static_cast<double>(std::max<int64_t>(product.n, 1));
    const double k = static_cast<double>(std::max<int64_t>(product.k, 1));
    const double m = static_cast<double>(product.m);
    const Bracket at_k = bracket(values([](const Product& p) { return p.k; }), k);
    // Not every n was measured with every k.
    const auto at_depth = [&](double depth) {
      const std::vector<double> widths =
          values([](const Product& p) { return p.n; },
                 [&](const Product& p) { return static_cast<double>(p.k) == depth; });
      const Bracket at_n = bracket(widths, n);
      return beyond(at_n, n) * between(column_us(at_n.lower, depth, m),
                                       column_us(at_n.upper, depth, m), at_n.fraction);
    };
    const double one =
        beyond(at_k, k) * between(at_depth(at_k.lower), at_depth(at_k.upper), at_k.fraction);
    const double base = std::min(one, launch_);
    return base + (one - base) * static_cast<double>(product.batch);
  }

  // The same where the products of a batch are worked on side by side: like one of all their rows,
  // which fills the device as they do, but that each reads a right operand of its own.
  std::optional<double> side_by_side_us(const Product& product, double right_us) const {
    const auto in_turn = us(product);
    if (!in_turn || product.batch <= 1) return in_turn;
    Product tall = product;
    tall.batch = 1;
    tall.m *= product.batch;
    return std::min(*in_turn, *us(tall) + right_us * static_cast<double>(product.batch - 1));
  }

 private:
  bool collect(const DeviceModel& device, std::string_view op, DType dtype, bool packed) {
    for (const ProductPoint& point : device.products) {
      if (point.op == op && point.dtype == dtype && point.product.packed == packed &&
          point.product.batch == 1) {
        points_.push_back(&point);
      }
    }
    return !points_.empty();
  }

  // What `get` says of the points for which `of` holds.
  template <class Get, class Of>
  std::vector<double> values(const Get& get, const Of& of) const {
    std::vector<double> values;
    for (const ProductPoint* point : points_) {
      if (of(point->product)) values.push_back(static_cast<double>(get(point->product)));
    }
    return values;
  }
  template <class Get>
  std::vector<double> values(const Get& get) const {
    return values(get, [](const Product&) { return true; });
  }

  // Of points that there are.
  double column_us(double n, double k, double m) const {
    Curve curve(launch_);
    for (const ProductPoint* point : points_) {
      const Product& p = point->product;
      if (static_cast<double>(p.n) != n || static_cast<double>(p.k) != k) continue;
      curve.add(static_cast<double>(p.m), point->us);
    }
    return curve.at(m);
  }

  double launch_;
  std::vector<const ProductPoint*> points_;
};

// A product by arithmetic and memory, where none was measured.
double roofline_us(const DeviceModel& device, const KernelWork& work) {
  const double peak = 10 * device.scalar_flops_per_us;
  return device.launch_us +
         std::max(flops_of(work.product) / peak, work.bytes / device.read_bytes_per_us);
}

// Operations a byte; movements have none, which has no logarithm.
double intensity(double flops, double bytes) { return std::max(flops / bytes, 1e-3); }

// Times of the kernels of one op and width: curves over bytes, one for each measured intensity,
// interpolated between them. Attention of many rows does more with each byte than that of one.
class OpTable {
 public:
  OpTable(const DeviceModel& device, std::string_view op, int64_t width)
      : launch_(device.launch_us) {
    std::vector<const OpPoint*> points;
    for (const OpPoint& point : device.ops) {
      if (point.op == op && point.width == width && point.bytes > 0) points.push_back(&point);
    }
    add_levels(std::move(points));
  }

  double us(double flops, double bytes) const {
    if (bytes <= 0) return launch_;
    std::vector<double> intensities;
    for (const Level& level : levels_) intensities.push_back(level.intensity_at(bytes));
    const double wanted = intensity(flops, bytes);
    const Bracket at = bracket(intensities, wanted);
    const auto us_at = [&](double one) {
      const auto found = std::find(intensities.begin(), intensities.end(), one);
      return levels_[static_cast<size_t>(found - intensities.begin())].times.at(bytes);
    };
    const double lower = us_at(at.lower);
    if (at.upper > at.lower) return between(lower, us_at(at.upper), at.fraction);
    const double base = std::min(lower, launch_);
    return base + (lower - base) * beyond(at, wanted);
  }

 private:
  // Work of one shape in several sizes. What it does with each byte is not quite the same in all:
  // weights and the borders of images are more of the small ones.
  struct Level {
    Curve times;
    std::vector<std::pair<double, double>> intensities;  // by bytes

    double intensity_at(double bytes) const {
      const auto upper = std::lower_bound(
          intensities.begin(), intensities.end(), bytes,
          [](const std::pair<double, double>& point, double x) { return point.first < x; });
      if (upper == intensities.begin()) return upper->second;
      const auto lower = upper - 1;
      if (upper == intensities.end() || upper->first == lower->first) return lower->second;
      const double fraction =
          std::log(bytes / lower->first) / std::log(upper->first / lower->first);
      return between(lower->second, upper->second, fraction);
    }
  };
  static constexpr double kSameLevel = 1.5;  // times the least intensity of a level

  void add_levels(std::vector<const OpPoint*> points) {
    const auto own = [](const OpPoint* point) { return intensity(point->flops, point->bytes); };
    std::sort(points.begin(), points.end(),
              [&](const OpPoint* a, const OpPoint* b) { return own(a) < own(b); });
    double least = 0;
    for (const OpPoint* point : points) {
      if (levels_.empty() || own(point) > kSameLevel * least) {
        levels_.push_back({Curve(launch_), {}});
        least = own(point);
      }
      levels_.back().times.add(point->bytes, point->us);
      levels_.back().intensities.emplace_back(point->bytes, own(point));
    }
    for (Level& level : levels_) std::sort(level.intensities.begin(), level.intensities.end());
  }

  double launch_;
  std::vector<Level> levels_;
};

// Of an op that was measured by this name. Between two widths it lies between what so many lines of
// either take; beyond them, it takes what the same bytes do.
std::optional<double> measured_us(const DeviceModel& device, std::string_view op,
                                  const KernelWork& work) {
  const auto of = [](int64_t width) { return static_cast<double>(width) + 1; };
  std::vector<double> widths;
  for (const OpPoint& point : device.ops) {
    if (point.op == op && point.bytes > 0) widths.push_back(of(point.width));
  }
  if (widths.empty()) return std::nullopt;
  const Bracket at = bracket(widths, of(work.width));
  const auto us = [&](double width, double scale) {
    return OpTable(device, op, std::llround(width) - 1).us(scale * work.flops, scale * work.bytes);
  };
  if (at.lower == at.upper) return us(at.lower, 1);
  const double lower = us(at.lower, at.lower / of(work.width));
  const double upper = us(at.upper, at.upper / of(work.width));
  return between(lower, upper, at.fraction);
}

// Bytes alone, as kernels that were measured move them.
double moving_us(const DeviceModel& device, double bytes) {
  for (const char* like : {"fused_elementwise", "copy"}) {
    KernelWork work;
    work.bytes = bytes;
    if (const auto us = measured_us(device, like, work)) return *us;
  }
  const double speed =
      bytes <= device.cache_bytes ? device.cache_bytes_per_us : device.read_bytes_per_us;
  return device.launch_us + bytes / speed;
}

// Element-wise kernels and movements that were not measured by name: they move their bytes and
// compute, at once (`overlaps`) or in turn.
double streaming_us(const DeviceModel& device, const KernelWork& work, bool overlaps) {
  const double moving = moving_us(device, work.bytes);
  const double compute = work.flops / device.scalar_flops_per_us;
  return overlaps ? std::max(moving, device.launch_us + compute) : moving + compute;
}

// A kind of an op that was not measured by its name takes about what the op does:
// "attention" for "attention.causal".
std::string_view without_kind(std::string_view op) { return op.substr(0, op.find('.')); }

}  // namespace

std::string name_in_type(std::string op, DType type) { return is_half(type) ? op + ".f16" : op; }

int64_t MachineModel::threads(int64_t devices) const {
  return std::max<int64_t>(1, cores_ / std::max<int64_t>(1, devices));
}

const DeviceModel& MachineModel::device_for(int64_t devices) const {
  CLEAVE_CHECK(!devices_.empty(), "a machine model without devices is asked for times");
  const DeviceModel* best = &devices_.front();
  for (const DeviceModel& device : devices_) {
    const bool fits = device.devices <= devices;
    const bool best_fits = best->devices <= devices;
    if (fits != best_fits ? fits : (device.devices > best->devices) == fits) best = &device;
  }
  return *best;
}

double MachineModel::product_us(const DeviceModel& device, const KernelWork& work) const {
  const Product& product = work.product;
  if (flops_of(product) <= 0) return device.launch_us;
  const auto us_in = [&](DType type) {
    const ProductGrid grid(device, work.op, type, product.packed);
    if (backend_ == "cpu") return grid.us(product);
    // The images of a convolution have one weight.
    const double right_bytes = work.op == "matmul" ? static_cast<double>(product.k * product.n) *
                                                         static_cast<double>(size_of(type))
                                                   : 0;
    return grid.side_by_side_us(product, right_bytes / device.read_bytes_per_us);
  };
  const auto us = us_in(work.dtype);
  if (!us) return roofline_us(device, work);
  if (!work.tf32 || work.dtype != DType::kFloat32) return *us;
  // Tensor cores do half as many operations on TF32 as on half precision, whose numbers are half as
  // large: both for arithmetic and for memory it is twice the time.
  const double half = *us_in(DType::kFloat16);
  const double base = std::min(half, device.launch_us);
  return std::min(*us, base + 2 * (half - base));
}

double MachineModel::kernel_us(const KernelWork& work, int64_t devices) const {
  const DeviceModel& device = device_for(devices);
  if (work.has_product) return product_us(device, work);
  if (work.bytes <= 0 && work.flops <= 0) return device.launch_us;
  // Chains differ in what they compute: only their bytes are looked up.
  if (work.op != "fused_elementwise") {
    for (const std::string_view op : {std::string_view(work.op), without_kind(work.op)}) {
      const std::string in_f32(op);
      const std::string in_its_type = name_in_type(in_f32, work.dtype);
      auto us = measured_us(device, in_its_type, work);
      if (!us && in_its_type != in_f32) us = measured_us(device, in_f32, work);
      if (us) return *us;
    }
  }
  return streaming_us(device, work, backend_ != "cpu");
}

double MachineModel::collective_us(std::string_view op, int64_t ranks, double bytes) const {
  const auto has = [&](const DeviceModel& device) {
    return std::any_of(device.collectives.begin(), device.collectives.end(),
                       [&](const CollectivePoint& point) { return point.op == op; });
  };
  // Collectives are measured with as many devices at work as they have ranks.
  const DeviceModel* device = &device_for(ranks);
  for (const DeviceModel& other : devices_) {
    if (!has(*device) && has(other)) device = &other;
  }
  if (!has(*device)) return link_factor_ * (10 + bytes / 1000);

  std::vector<double> sizes;
  for (const CollectivePoint& point : device->collectives) {
    if (point.op == op) sizes.push_back(static_cast<double>(point.ranks));
  }
  const double group = static_cast<double>(ranks);
  const Bracket at = bracket(sizes, group);
  const auto among = [&](double members) {
    // A latency, and a time a byte: straight lines between the sizes measured.
    std::vector<std::pair<double, double>> points;
    for (const CollectivePoint& point : device->collectives) {
      if (point.op == op && static_cast<double>(point.ranks) == members) {
        points.emplace_back(point.bytes, point.us);
      }
    }
    std::sort(points.begin(), points.end());
    if (points.size() == 1 || bytes <= points.front().first) return points.front().second;
    size_t i = 1;
    while (i + 1 < points.size() && bytes > points[i].first) ++i;
    const auto [x0, y0] = points[i - 1];
    const auto [x1, y1] = points[i];
    if (x1 <= x0) return std::max(y0, y1);
    return std::max(y0, y0 + (y1 - y0) / (x1 - x0) * (bytes - x0));
  };
  const double lower = among(at.lower);
  double us = lower * beyond(at, group);
  if (at.upper > at.lower) us = between(lower, among(at.upper), at.fraction);
  return link_factor_ * us;
}

void MachineModel::slow_link(double factor) { link_factor_ *= factor; }

}  // namespace cleave::cost
