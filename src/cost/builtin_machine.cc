// The machine model used where none is given: rounded figures of server cores with AVX2 and a share
// of memory's speed each, as `cleave measure` finds them.
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "cost/machine_model.h"
#include "types/format.h"

namespace cleave::cost {
namespace {

constexpr int64_t kCores = 2;

// What one device does in a microsecond.
struct Speeds {
  double flops;   // of large matrix products
  double memory;  // bytes
  double cache;   // bytes
  double launch_us;
};

Speeds speeds_of(int64_t devices) {
  // Alone, a device has two threads: they share memory, and take time to meet.
  return devices == 1 ? Speeds{130e3, 14e3, 45e3, 1.5} : Speeds{70e3, 9e3, 25e3, 0.5};
}

double filled(int64_t extent, double half) {
  const auto x = static_cast<double>(extent);
  return x / (x + half);
}

// Arithmetic, slower where a dimension does not fill a kernel's block, or reading the operands.
double product_us(const Speeds& speeds, const Product& p) {
  const auto m = static_cast<double>(p.m);
  const auto n = static_cast<double>(p.n);
  const auto k = static_cast<double>(p.k);
  const double speed = speeds.flops * filled(p.m, 2) * filled(p.n, 16) * filled(p.k, 32);
  const double weights = 4 * n * k / speeds.memory;
  const double rest = 4 * (m * k + m * n) / speeds.cache;
  // A right operand that is no weight is repacked at each call.
  const double packing = p.packed ? 0 : 8 * n * k / speeds.cache;
  return speeds.launch_us + std::max(2 * m * n * k / speed, weights) + rest + packing;
}

void add_products(DeviceModel& device, const Speeds& speeds) {
  for (const bool packed : {true, false}) {
    for (const int64_t m : {1, 4, 16, 64, 256, 1024, 4096}) {
      for (const int64_t n : {64, 256, 1024, 4096}) {
        for (const int64_t k : {64, 256, 1024, 4096}) {
          const Product product{1, m, n, k, packed};
          device.products.push_back({product, DType::kFloat32, product_us(speeds, product)});
        }
      }
    }
  }
}

// Convolutions are products whose left operand is put together from an image: in channels-last
// lines, or one element after the other.
void add_convolutions(DeviceModel& device, const Speeds& speeds) {
  for (const Format format : kImageFormats) {
    const bool lines = format == Format::kChannelsLast;
    const std::string suffix = lines ? "." + std::string(name_of(format)) : "";
    for (const int64_t m : {1, 64, 256, 1024, 4096, 16384}) {
      for (const int64_t n : {16, 64, 256, 1024}) {
        for (const int64_t k : {16, 64, 256, 1024, 4096}) {
          const Product product{1, m, n, k, true};
          const double gathered = 4 * static_cast<double>(m * k) / speeds.cache;
          const double us =
              product_us(speeds, product) * (lines ? 1 : 1.2) + gathered * (lines ? 1 : 4);
          device.products.push_back({product, DType::kFloat32, us, "conv" + suffix});
          const double alone = product_us(speeds, product) * (lines ? 1 : 1.2);
          device.products.push_back({product, DType::kFloat32, alone, "conv.pointwise" + suffix});
        }
      }
    }
    const double share = lines ? 0.45 : 0.06;  // of the speed of products
    for (const double flops_per_byte : {2.0, 12.0}) {
      for (double bytes = 1 << 12; bytes <= 1 << 26; bytes *= 4) {
        device.ops.push_back({"conv.depthwise" + suffix, bytes, bytes * flops_per_byte,
                              speeds.launch_us + bytes * flops_per_byte / (share * speeds.flops)});
      }
    }
  }
}

// A kernel's speed in cache is `share` of streaming's.
void add_rows(DeviceModel& device, const Speeds& speeds, std::string_view op, double share,
              double flops_per_byte, int64_t width = 0) {
  for (double bytes = 1 << 10; bytes <= 1 << 26; bytes *= 4) {
    const double cached = bytes / (share * speeds.cache);
    const double streamed = bytes <= device.cache_bytes ? 0 : bytes / speeds.memory;
    device.ops.push_back({std::string(op), bytes, bytes * flops_per_byte,
                          speeds.launch_us + std::max(cached, streamed), width});
  }
}

// By how many operations it does with each byte: rows of queries over keys.
void add_attention(DeviceModel& device, const Speeds& speeds) {
  for (const double flops_per_byte : {0.6, 5.0, 40.0, 160.0}) {
    const double speed = 0.5 * speeds.flops * flops_per_byte / (flops_per_byte + 8);
    for (double bytes = 1 << 12; bytes <= 1 << 26; bytes *= 4) {
      const double compute = bytes * flops_per_byte / speed;
      device.ops.push_back({"attention", bytes, bytes * flops_per_byte,
                            speeds.launch_us + std::max(compute, bytes / speeds.memory)});
    }
  }
}

// Through shared memory: a meeting, and copies that all ranks make at once. A reduction reads as
// many terms as there are ranks.
void add_collectives(DeviceModel& device) {
  for (const int64_t ranks : {2, 4, 8, 16}) {
    const auto members = static_cast<double>(ranks);
    const double meeting = ranks <= kCores ? 4 : 10 * members;
    for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"}) {
      const double passes = std::string_view(op) == "all_reduce" ? 2 : 1;
      for (double bytes = 1 << 10; bytes <= 1 << 26; bytes *= 16) {
        const double speed = bytes <= device.cache_bytes ? 10e3 : 5e3;
        device.collectives.push_back({op, ranks, bytes, meeting + passes * bytes / speed});
      }
    }
  }
}

}  // namespace

MachineModel MachineModel::builtin() {
  MachineModel model;
  model.set_cores(kCores);
  // More devices than cores share them, which the planner accounts for.
  for (int64_t devices = 1; devices <= kCores; ++devices) {
    const Speeds speeds = speeds_of(devices);
    DeviceModel device;
    device.devices = devices;
    device.threads = kCores / devices;
    device.launch_us = speeds.launch_us;
    device.read_bytes_per_us = speeds.memory;
    device.cache_bytes_per_us = speeds.cache;
    device.cache_bytes = 1 << 20;
    device.scalar_flops_per_us = speeds.cache / 25;
    add_products(device, speeds);
    add_rows(device, speeds, "fused_elementwise", 1, 0);
    for (const int64_t run : {1, 8, 64, 512}) {
      add_rows(device, speeds, "copy", 0.2 + 0.6 * filled(run, 8), 0, run);
    }
    add_rows(device, speeds, "gather", 0.4, 0);
    for (const Format format : kImageFormats) {
      const bool row_major = format == Format::kRowMajor;
      const std::string suffix = row_major ? "" : "." + std::string(name_of(format));
      for (const char* op : {"max_pool", "average_pool", "lp_pool"}) {
        add_rows(device, speeds, op + suffix, 0.15, 2);
      }
      add_rows(device, speeds, "resize" + suffix, row_major ? 0.15 : 0.3, 0.5);
      add_rows(device, speeds, "concat" + suffix, 0.4, 0);
    }
    add_rows(device, speeds, "reduce_sum.channels_last", 0.8, 0.25);
    add_rows(device, speeds, "layer_norm", 0.5, 0.9);
    add_rows(device, speeds, "rms_norm", 0.5, 0.5);
    add_rows(device, speeds, "softmax", 0.3, 0.6);
    add_attention(device, speeds);
    add_convolutions(device, speeds);
    add_collectives(device);
    model.devices_.push_back(std::move(device));
  }
  return model;
}

}  // namespace cleave::cost
