// The machine model used for GPUs where none is given: rounded figures of one kind of server GPU
// (Hopper, HBM3e) and the links between several, as their kernels and collectives reach them.
#include <algorithm>
#include <cmath>
#include <string_view>

#include "cost/machine_model.h"

namespace cleave::cost {
namespace {

constexpr double kLaunchUs = 2;    // a kernel in a replayed graph
constexpr double kMemory = 4.2e6;  // bytes a microsecond, read and written
constexpr double kCache = 8e6;     // the same of what the last-level cache holds
constexpr double kCacheBytes = 48e6;
constexpr double kLink = 360e3;  // bytes a microsecond from one peer
constexpr double kCollectiveUs = 3;
constexpr double kMemoryBytes = 141e9;
constexpr double kMultiprocessors = 132;
constexpr int64_t kMostDevices = 8;

// Operations a microsecond of large products.
double product_flops(DType type) {
  if (type == DType::kFloat16 || type == DType::kBFloat16) return 700e6;
  return type == DType::kFloat64 ? 55e6 : 48e6;
}

// Tiles that fill the multiprocessors in whole rounds, or reading the operands.
double product_us(const Product& p, DType type) {
  const auto m = static_cast<double>(p.m);
  const auto n = static_cast<double>(p.n);
  const auto k = static_cast<double>(p.k);
  const double tiles = std::ceil(m / 128) * std::ceil(n / 128);
  const double rounds = std::ceil(tiles / kMultiprocessors) * kMultiprocessors;
  // Where tiles are few, k is split among multiprocessors.
  const double used = tiles < kMultiprocessors / 2 ? kMultiprocessors * 0.7 : rounds;
  const double flops = 2 * 128 * 128 * k * std::max(used, tiles);
  const double bytes = static_cast<double>(size_of(type)) * (m * k + n * k + m * n);
  return kLaunchUs + 1 + std::max(flops / product_flops(type), bytes / kMemory);
}

void add_products(DeviceModel& device) {
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64}) {
    for (const char* op : {"matmul", "conv"}) {
      // A convolution reads its image several times.
      const double share = std::string_view(op) == "conv" ? 1.5 : 1;
      for (const int64_t m : {1, 16, 64, 128, 256, 512, 1024, 2048, 4096, 16384}) {
        for (const int64_t n : {64, 256, 1024, 4096, 16384, 65536}) {
          for (const int64_t k : {64, 256, 1024, 4096, 16384}) {
            const Product product{1, m, n, k, true};
            device.products.push_back({product, type, share * product_us(product, type), op});
          }
        }
      }
    }
  }
}

void add_rows(DeviceModel& device, const char* op, double share, double flops_per_byte) {
  for (double bytes = 1 << 12; bytes <= 1 << 30; bytes *= 4) {
    const double speed = share * (bytes <= kCacheBytes ? kCache : kMemory);
    device.ops.push_back({op, bytes, bytes * flops_per_byte, kLaunchUs + bytes / speed, 0});
  }
}

void add_attention(DeviceModel& device) {
  for (const double flops_per_byte : {1.0, 16.0, 256.0, 4096.0}) {
    for (double bytes = 1 << 12; bytes <= 1 << 30; bytes *= 4) {
      const double compute = bytes * flops_per_byte / 20e6;
      device.ops.push_back({"attention", bytes, bytes * flops_per_byte,
                            kLaunchUs + 2 + std::max(compute, bytes / kMemory), 0});
    }
  }
}

// What each rank sends and receives, over links that all use at once.
void add_collectives(DeviceModel& device) {
  for (const int64_t ranks : {2, 4, 8}) {
    const double others = static_cast<double>(ranks - 1) / static_cast<double>(ranks);
    for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"}) {
      const std::string_view name = op;
      const double passes = name == "all_reduce" ? 2 : name == "all_to_all" ? 1.0 / ranks : 1;
      for (double bytes = 1 << 10; bytes <= 1 << 30; bytes *= 8) {
        const double meeting = kCollectiveUs + static_cast<double>(ranks) / 2;
        device.collectives.push_back({op, ranks, bytes, meeting + passes * others * bytes / kLink});
      }
    }
  }
}

}  // namespace

MachineModel MachineModel::builtin_gpu() {
  MachineModel model;
  model.set_name("built-in GPU");
  model.set_cores(kMostDevices);  // GPUs share nothing
  model.memory_bytes_ = kMemoryBytes;
  DeviceModel device;
  device.devices = 1;
  device.threads = 1;
  device.launch_us = kLaunchUs;
  device.read_bytes_per_us = kMemory;
  device.cache_bytes_per_us = kCache;
  device.cache_bytes = kCacheBytes;
  device.scalar_flops_per_us = 4e6;
  add_products(device);
  add_rows(device, "fused_elementwise", 0.9, 0);
  add_rows(device, "copy", 0.6, 0);
  add_rows(device, "gather", 0.5, 0);
  add_rows(device, "layer_norm", 0.7, 0.9);
  add_rows(device, "rms_norm", 0.7, 0.5);
  add_rows(device, "softmax", 0.6, 0.6);
  add_attention(device);
  add_collectives(device);
  model.devices_.push_back(std::move(device));
  return model;
}

}  // namespace cleave::cost
