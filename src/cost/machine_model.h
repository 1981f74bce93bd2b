// MachineModel: what operations and collectives cost on a machine, as measured by `cleave measure`
// or shipped. Times are microseconds, sizes bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "types/dtype.h"

namespace cleave::cost {

class ExactTimes;

// A numeric matrix product: `batch` products of m × k by k × n.
struct Product {
  int64_t batch = 1;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  // The right operand is a constant, packed once at load.
  bool packed = true;

  bool operator==(const Product&) const = default;
};

// What one kernel does on one device.
struct KernelWork {
  std::string op;    // its name, the kind of its work, and the format if it is not row-major
  double flops = 0;  // of element-wise work: one a function, see arithmetic_weight
  double bytes = 0;  // read and written
  bool has_product = false;
  Product product;
  DType dtype = DType::kFloat32;
  bool tf32 = false;  // a float32 product that may round its operands to TF32
  // Elements that are worked on together: of attention a head's row (what is done for each score,
  // whatever its width, is much of the work), of a copy those that lie one behind the other. 0: of
  // no account.
  int64_t width = 0;
};

// The name of an op's times where they depend on the type: half precision has ones of its own,
// "attention.f16", which bfloat16 shares.
std::string name_in_type(std::string op, DType type);

// A measured matrix product.
struct ProductPoint {
  Product product;
  DType dtype = DType::kFloat32;
  double us = 0;
  std::string op = "matmul";  // as KernelWork::op
};

// A measured collective: time of one call that ends with `bytes` of the whole tensor moved.
struct CollectivePoint {
  std::string op;  // "all_reduce", ...
  int64_t ranks = 2;
  double bytes = 0;
  double us = 0;
};

// A measured kernel that is no matrix product: `flops` and `bytes` as its op's work counts them.
struct OpPoint {
  std::string op;
  double bytes = 0;
  double flops = 0;
  double us = 0;
  int64_t width = 0;  // KernelWork::width
};

// The speed of a device that runs with `threads` threads while `devices` of its kind are at work.
// Measured times are those of whole calls, `launch_us` included.
struct DeviceModel {
  int64_t threads = 1;
  int64_t devices = 1;
  double launch_us = 1;               // a kernel that has next to nothing to do
  double read_bytes_per_us = 8000;    // streaming from memory
  double cache_bytes_per_us = 20000;  // streaming from cache
  double cache_bytes = 1 << 20;
  double scalar_flops_per_us = 4000;  // functions such as tanh of one element
  std::vector<ProductPoint> products;
  std::vector<OpPoint> ops;
  std::vector<CollectivePoint> collectives;
};

class MachineModel {
 public:
  // The model used where none is given: figures of a server core, the same on every machine.
  static MachineModel builtin();
  // The same for GPUs: one that was measured and comes with Cleave (machines/).
  static MachineModel builtin_gpu();
  // Error(kInvalid) naming the key for anything that is not a machine model; figures are checked
  // (finite, positive).
  static MachineModel load(const std::filesystem::path& path);
  static MachineModel parse(std::string_view json, const std::string& name);
  std::string to_json() const;

  // The time of a kernel on one of `devices` devices that are all at work. Measured sizes have
  // their measured times; between them logarithms are interpolated. Products of a batch, and images
  // of a convolution, follow each other on a CPU; a GPU works on them side by side.
  double kernel_us(const KernelWork& work, int64_t devices) const;
  // The time of a collective over `ranks`, `bytes` being the whole tensor's.
  double collective_us(std::string_view op, int64_t ranks, double bytes) const;
  // Devices that do not share cores run side by side; n devices on fewer cores share them.
  int64_t cores() const { return cores_; }
  // Threads of each of `devices` devices.
  int64_t threads(int64_t devices) const;
  double memory_bytes() const { return memory_bytes_; }
  const std::string& name() const { return name_; }
  // Of the devices that it is of: "cpu".
  const std::string& backend() const { return backend_; }

  std::vector<DeviceModel>& devices() { return devices_; }
  const std::vector<DeviceModel>& devices() const { return devices_; }
  void set_cores(int64_t cores) { cores_ = cores; }
  void set_name(std::string name) { name_ = std::move(name); }
  void set_backend(std::string backend) { backend_ = std::move(backend); }
  // Where set, asked first for the times of ops that it may know at their very sizes.
  void set_exact(std::shared_ptr<ExactTimes> exact) { exact_ = std::move(exact); }
  ExactTimes* exact() const { return exact_.get(); }
  // Every collective `factor` times slower: what a slower link would change.
  void slow_link(double factor);

 private:
  const DeviceModel& device_for(int64_t devices) const;
  double product_us(const DeviceModel& device, const KernelWork& work) const;

  std::string name_ = "built-in";
  std::string backend_ = "cpu";
  int64_t cores_ = 2;
  double memory_bytes_ = 16e9;
  double link_factor_ = 1;
  std::vector<DeviceModel> devices_;
  std::shared_ptr<ExactTimes> exact_;
};

}  // namespace cleave::cost
