// Profiler: what times kernels and collectives on real devices. The cost model says what to time;
// compiler/ brings an implementation that has kernels to run.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "types/attributes.h"
#include "types/format.h"
#include "types/tensor_type.h"

namespace cleave::cost {

// A kernel to time. Types are numeric.
struct KernelSpec {
  std::string_view op;
  Attributes attributes;
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  // Input 1 is a weight: its kernel may repack it, and finds it in memory, not in cache, as in a
  // network of many weights. Other inputs are what a kernel before has just written.
  bool weight = false;
  int64_t index_extent = 1;  // integer inputs hold numbers below it, and take rows of input 0
  std::vector<int64_t> strides = {};  // of input 0, in elements; empty: dense
  Format format = Format::kRowMajor;  // of the results, and of the inputs but weights
};

class Profiler {
 public:
  virtual ~Profiler() = default;
  // Devices that work at once, and the threads of each.
  virtual int64_t devices() const = 0;
  virtual int64_t threads() const = 0;
  // Small kernels of which some run before each call that is timed, as a network runs others before
  // it comes back to one: code is not where the last call has left it.
  virtual void run_between(const std::vector<KernelSpec>& others) { static_cast<void>(others); }
  // Microseconds of one call, on one device while all do the same; nothing where no kernel takes
  // it or memory does not suffice. Takes about `seconds`, but at least one call.
  virtual std::optional<double> kernel_us(const KernelSpec& spec, double seconds) = 0;
  // Microseconds of one collective over `ranks` ≤ devices() ranks, float32, `bytes` the whole's.
  virtual double collective_us(std::string_view op, int64_t ranks, int64_t bytes,
                               double seconds) = 0;
};

}  // namespace cleave::cost
