#include "cost/machine_model.h"

#include <algorithm>
#include <cmath>

namespace cleave::cost {
namespace {

// Speeds fall off where a dimension is small against a kernel's block.
double efficiency(double extent, double half) { return extent / (extent + half); }

// A matrix product by arithmetic and memory, where no measured neighbour is known.
double roofline_us(const DeviceModel& device, const KernelWork& work) {
  const Product& p = work.product;
  const double peak = 2 * device.scalar_flops_per_us * 5;
  const double speed = peak * efficiency(static_cast<double>(p.m), 4) *
                       efficiency(static_cast<double>(p.n), 16) *
                       efficiency(static_cast<double>(p.k), 32);
  return speed > 0 ? work.flops / speed : 0;
}

double distance(const Product& a, const Product& b) {
  const auto term = [](int64_t x, int64_t y) {
    const double d = std::log(static_cast<double>(std::max<int64_t>(x, 1))) -
                     std::log(static_cast<double>(std::max<int64_t>(y, 1)));
    return d * d;
  };
  return term(a.m, b.m) + term(a.n, b.n) + term(a.k, b.k) + 0.1 * term(a.batch, b.batch);
}

// The speed of nearby measured products, weighted by closeness of their shapes' logarithms.
double product_us(const DeviceModel& device, const KernelWork& work) {
  double weights = 0;
  double speed = 0;
  for (const ProductPoint& point : device.products) {
    if (point.dtype != work.dtype || point.product.packed != work.product.packed) continue;
    const double flops = 2.0 * static_cast<double>(point.product.batch) *
                         static_cast<double>(point.product.m) *
                         static_cast<double>(point.product.n) *
                         static_cast<double>(point.product.k);
    const double d = distance(point.product, work.product);
    const double weight = 1 / (1e-6 + d * d);
    weights += weight;
    speed += weight * std::log(flops / point.us);
  }
  if (weights == 0) return roofline_us(device, work);
  return work.flops / std::exp(speed / weights);
}

}  // namespace

MachineModel MachineModel::builtin() {
  MachineModel model;
  // More devices than cores share them, which the planner accounts for.
  for (const int64_t devices : {1, 2}) {
    DeviceModel device;
    device.devices = devices;
    device.threads = std::max<int64_t>(1, model.cores_ / devices);
    device.launch_us = 1.5;
    device.read_bytes_per_us = devices == 1 ? 12000 : 9000;
    device.cache_bytes_per_us = 25000;
    device.scalar_flops_per_us = 9000;
    for (const int64_t ranks : {2, 4, 8, 16}) {
      const double latency = ranks <= 2 ? 6 : 12.0 * static_cast<double>(ranks);
      for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"}) {
        const bool reduces = std::string_view(op) == "all_reduce";
        for (const double bytes : {1e3, 1e5, 1e7, 1e9}) {
          const double speed = bytes <= 1e6 ? 10000 : 5000;
          device.collectives.push_back(
              {op, ranks, bytes, latency + (reduces ? 2 : 1) * bytes / speed});
        }
      }
    }
    model.devices_.push_back(std::move(device));
  }
  return model;
}

int64_t MachineModel::threads(int64_t devices) const {
  return std::max<int64_t>(1, cores_ / std::max<int64_t>(1, devices));
}

const DeviceModel& MachineModel::device_for(int64_t devices) const {
  const DeviceModel* best = &devices_.front();
  for (const DeviceModel& device : devices_) {
    if (device.devices <= devices && device.devices >= best->devices) best = &device;
  }
  return *best;
}

double MachineModel::kernel_us(const KernelWork& work, int64_t devices) const {
  const DeviceModel& device = device_for(devices);
  const double speed =
      work.bytes <= device.cache_bytes ? device.cache_bytes_per_us : device.read_bytes_per_us;
  const double memory = work.bytes / speed;
  const double compute =
      work.has_product ? product_us(device, work) : work.flops / device.scalar_flops_per_us;
  return device.launch_us + std::max(memory, compute);
}

double MachineModel::collective_us(std::string_view op, int64_t ranks, double bytes) const {
  const DeviceModel& device = device_for(ranks);
  // Piecewise linear in bytes between the measured sizes, at the nearest measured group size.
  std::vector<const CollectivePoint*> points;
  int64_t nearest = 0;
  for (const CollectivePoint& point : device.collectives) {
    if (point.op != op) continue;
    if (nearest == 0 || std::abs(point.ranks - ranks) < std::abs(nearest - ranks)) {
      nearest = point.ranks;
    }
  }
  for (const CollectivePoint& point : device.collectives) {
    if (point.op == op && point.ranks == nearest) points.push_back(&point);
  }
  if (points.empty()) return link_factor_ * (10 + bytes / 1000);
  std::sort(points.begin(), points.end(),
            [](const auto* a, const auto* b) { return a->bytes < b->bytes; });
  if (points.size() == 1 || bytes <= points.front()->bytes) return link_factor_ * points.front()->us;
  size_t i = 1;
  while (i + 1 < points.size() && bytes > points[i]->bytes) ++i;
  const CollectivePoint& a = *points[i - 1];
  const CollectivePoint& b = *points[i];
  const double slope = (b.us - a.us) / (b.bytes - a.bytes);
  return link_factor_ * std::max(a.us, a.us + slope * (bytes - a.bytes));
}

void MachineModel::slow_link(double factor) { link_factor_ *= factor; }

}  // namespace cleave::cost
