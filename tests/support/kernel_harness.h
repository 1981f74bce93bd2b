// Runs kernels in tests: operands from dense tensors laid out in memory as a test asks, results
// compared with the ops' references.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backend/kernel.h"
#include "base/thread_pool.h"
#include "ops/registry.h"
#include "tests/support/test_backend.h"
#include "types/host_tensor.h"

namespace cleave::backend {

// How a test lays out an operand.
enum class Lay {
  kDense,
  kGaps,     // every dimension but the last begins after a gap
  kSwapped,  // the last two dimensions change places in memory
  kSparse,   // the last dimension has stride 2
  kChannelsLast,
  kHeadsInside,  // the second and the third of four dimensions change places in memory
  kShifted,      // dense, but begins at an odd element
  kShiftedChannelsLast,
  kHalfShifted,  // dense, but begins 8 bytes behind what is aligned most
};

// A tensor laid out in memory that is otherwise filled with a pattern; reads it back.
class LaidOut {
 public:
  LaidOut(const HostTensor& tensor, Lay lay)
      : view_(TensorView::dense(tensor.dtype, tensor.shape)) {
    auto& shape = view_.shape;
    const size_t rank = shape.size();
    int64_t stride = lay == Lay::kSparse ? 2 : 1;
    std::vector<size_t> order(rank);
    for (size_t d = 0; d < rank; ++d) order[d] = d;
    const bool gaps = lay == Lay::kGaps || lay == Lay::kSwapped || lay == Lay::kSparse;
    const bool shifted = lay == Lay::kShifted || lay == Lay::kShiftedChannelsLast;
    if (lay == Lay::kChannelsLast || lay == Lay::kShiftedChannelsLast) {
      order = memory_order(Format::kChannelsLast, rank);
    }
    if (lay == Lay::kHeadsInside) order = memory_order(Format::kHeadsInside, rank);
    if (lay == Lay::kSwapped && rank >= 2) std::swap(order[rank - 1], order[rank - 2]);
    for (size_t i = rank; i-- > 0;) {
      view_.strides[order[i]] = stride;
      stride = stride * std::max<int64_t>(1, shape[order[i]]) + (gaps ? 3 : 0);
    }
    begin_ = shifted ? size_of(tensor.dtype) : lay == Lay::kHalfShifted ? 8 : 0;
    view_.alignment = std::gcd(static_cast<int64_t>(begin_), kMostAlignment);
    const size_t size = size_of(tensor.dtype);
    bytes_.assign(static_cast<size_t>(stride) * size + std::max(size, begin_), std::byte{1});
    each(tensor.elements(), [&](int64_t i, int64_t at, size_t) {
      std::copy_n(tensor.bytes.data() + static_cast<size_t>(i) * size, size,
                  bytes_.data() + static_cast<size_t>(at) * size);
    });
    original_ = bytes_;
  }

  const TensorView& view() const { return view_; }
  std::byte* data() { return bytes_.data() + begin_; }  // of element 0
  std::byte* memory() { return bytes_.data(); }
  int64_t bytes() const { return static_cast<int64_t>(bytes_.size()); }

  HostTensor read() const {
    HostTensor tensor(view_.dtype, view_.shape);
    each(tensor.elements(), [&](int64_t i, int64_t at, size_t size) {
      std::copy_n(bytes_.data() + static_cast<size_t>(at) * size, size,
                  tensor.bytes.data() + static_cast<size_t>(i) * size);
    });
    return tensor;
  }
  // Whether no byte outside of the view has changed.
  bool gaps_untouched() const {
    std::vector<std::byte> now = bytes_;
    each(view_.elements(), [&](int64_t, int64_t at, size_t size) {
      std::copy_n(original_.data() + static_cast<size_t>(at) * size, size,
                  now.data() + static_cast<size_t>(at) * size);
    });
    return now == original_;
  }

 private:
  template <class F>
  void each(int64_t count, F&& f) const {
    for (int64_t i = 0; i < count; ++i) {
      int64_t left = i;
      int64_t at = 0;
      for (size_t d = view_.rank(); d-- > 0;) {
        at += left % view_.shape[d] * view_.strides[d];
        left /= view_.shape[d];
      }
      const size_t size = size_of(view_.dtype);
      f(i, at + static_cast<int64_t>(begin_ / size), size);
    }
  }

  TensorView view_;
  size_t begin_ = 0;  // where element 0 lies
  std::vector<std::byte> bytes_;
  std::vector<std::byte> original_;
};

struct KernelCase {
  std::string op;
  Attributes attributes;
  std::vector<const HostTensor*> inputs;  // null: absent
  std::vector<HostTensor> outputs;        // types; their values are what the memory held before
  std::vector<Lay> input_lays = {};       // dense where there are fewer
  std::vector<Lay> output_lays = {};
  std::vector<bool> weights = {};  // inputs that are constant
  std::string kernel = {};         // by name; empty: the one the registry chooses
  std::string algorithm = {};      // of the kernel; empty: the one it chooses
  int threads = 2;
};

inline Lay lay_of(const std::vector<Lay>& lays, size_t i) {
  return i < lays.size() ? lays[i] : Lay::kDense;
}

// The operands of a case in memory, and its problem. The case must outlive it.
struct CaseOperands {
  explicit CaseOperands(const KernelCase& test)
      : problem{.op = test.op,
                .attributes = test.attributes,
                .algorithm = test.algorithm,
                .threads = test.threads} {
    in.reserve(test.inputs.size());
    out.reserve(test.outputs.size());
    for (size_t i = 0; i < test.inputs.size(); ++i) {
      if (test.inputs[i] == nullptr) {
        problem.inputs.push_back(TensorView::absent());
        sources.push_back(nullptr);
      } else {
        in.emplace_back(*test.inputs[i], lay_of(test.input_lays, i));
        problem.inputs.push_back(in.back().view());
        sources.push_back(in.back().data());
      }
      const bool constant = i < test.weights.size() && test.weights[i];
      problem.constant_inputs.push_back(constant ? sources.back() : nullptr);
      problem.constant_keys.push_back(constant ? 1000 + i : 0);
    }
    for (size_t i = 0; i < test.outputs.size(); ++i) {
      out.emplace_back(test.outputs[i], lay_of(test.output_lays, i));
      problem.outputs.push_back(out.back().view());
      targets.push_back(out.back().data());
    }
  }
  CaseOperands(const CaseOperands&) = delete;
  CaseOperands& operator=(const CaseOperands&) = delete;

  std::vector<LaidOut> in;
  std::vector<LaidOut> out;
  std::vector<const void*> sources;
  std::vector<void*> targets;
  KernelProblem problem;
};

// The operands of a case as a device sees them: on the CPU they are the host's own.
class DeviceOperands {
 public:
  DeviceOperands(CaseOperands& operands, Device& device) : operands_(operands), device_(device) {
    for (LaidOut& laid : operands.in) upload(laid);
    for (LaidOut& laid : operands.out) upload(laid);
    const auto at = [&](const void* data) -> void* {
      const auto* host = static_cast<const std::byte*>(data);
      for (const Copy& copy : copies_) {
        if (host >= copy.host && host < copy.host + copy.buffer.bytes()) {
          return copy.buffer.data() + (host - copy.host);
        }
      }
      return const_cast<void*>(data);
    };
    for (const void*& source : operands.sources) source = at(source);
    for (void*& target : operands.targets) target = at(target);
    for (const void*& constant : operands.problem.constant_inputs) constant = at(constant);
  }
  // Results, and everything else that may have been written, back into the host's memory.
  void download() {
    for (Copy& copy : copies_) {
      device_.copy_to_host(copy.host, copy.buffer.data(), copy.buffer.bytes(),
                           device_.default_stream());
    }
    device_.synchronize(device_.default_stream());
  }

 private:
  struct Copy {
    std::byte* host;
    Buffer buffer;
  };
  void upload(LaidOut& laid) {
    if (device_.memory_is_host()) return;
    copies_.push_back({laid.memory(), device_.allocate(laid.bytes(), "an operand")});
    device_.copy_to_device(copies_.back().buffer.data(), laid.memory(), laid.bytes(),
                           device_.default_stream());
  }

  CaseOperands& operands_;
  Device& device_;
  std::vector<Copy> copies_;
};

// The kernel of that name; null where it has another one, or where the tests run on a backend that
// has no kernel of this name.
inline const Kernel* kernel_named(const KernelRegistry& registry, const KernelCase& test) {
  for (const auto& candidate : registry.of(test.op)) {
    if (candidate->name() == test.kernel) return candidate.get();
  }
  return nullptr;
}

// The names of all kernels that take the case, or of `test.kernel` alone.
inline std::vector<std::string> kernels_of(const KernelCase& test) {
  const KernelRegistry registry = test_backend().kernels();
  if (kernel_named(registry, test) != nullptr) return {test.kernel};
  std::vector<std::string> names;
  for (const Kernel* kernel : registry.takers(CaseOperands(test).problem)) {
    names.emplace_back(kernel->name());
  }
  return names;
}

// The results, or a test failure and what the outputs held before.
inline std::vector<HostTensor> run_case(const KernelCase& test, Device& device,
                                        KernelCache& cache) {
  CaseOperands operands(test);
  DeviceOperands on_device(operands, device);
  auto& [in, out, sources, targets, problem] = operands;
  const KernelRegistry registry = test_backend().kernels();
  const Kernel* kernel = kernel_named(registry, test);
  // Tests name the CPU's kernels; elsewhere they are of whichever kernel takes the problem.
  if (kernel == nullptr && (test.kernel.empty() || test_backend().name() != "cpu")) {
    kernel = &registry.at(problem);
  }
  EXPECT_NE(kernel, nullptr) << test.kernel;
  if (kernel == nullptr) return test.outputs;
  EXPECT_EQ(kernel->refuses(problem).value_or(""), "");
  const auto prepared = kernel->prepare(problem, cache);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!prepared->reads_input(i)) sources[i] = nullptr;
  }
  const Buffer workspace = device.allocate(prepared->workspace_bytes(), "the workspace");
  prepared->run(sources, targets, {workspace.data(), device.pool(), device.default_stream()});
  on_device.download();
  std::vector<HostTensor> results;
  for (const LaidOut& laid : out) {
    EXPECT_TRUE(laid.gaps_untouched());
    results.push_back(laid.read());
  }
  return results;
}

inline std::vector<HostTensor> run_case(const KernelCase& test) {
  const auto device = test_backend().make_device({.threads = test.threads});
  KernelCache cache(*device);
  return run_case(test, *device, cache);
}

// What the op's reference makes of the case.
inline std::vector<HostTensor> reference_of(const KernelCase& test) {
  static const ops::Registry registry = ops::Registry::builtin();
  std::vector<HostTensor> results;
  for (const HostTensor& out : test.outputs) results.emplace_back(out.dtype, out.shape);
  registry.at(test.op).reference(test.attributes, test.inputs, results);
  return results;
}

// Relative to the largest finite element of `expected`; NaN and infinity must agree exactly.
inline void expect_near(const HostTensor& actual, const HostTensor& expected, double tolerance) {
  ASSERT_EQ(actual.dtype, expected.dtype);
  ASSERT_EQ(actual.shape, expected.shape);
  double largest = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    if (std::isfinite(expected.get(i))) largest = std::max(largest, std::fabs(expected.get(i)));
  }
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double a = actual.get(i);
    const double b = expected.get(i);
    if (std::isnan(b) || std::isinf(b)) {
      ASSERT_TRUE(std::isnan(b) ? std::isnan(a) : a == b)
          << "element " << i << ": " << a << ", " << b;
    } else {
      ASSERT_LE(std::fabs(a - b), tolerance * largest) << "element " << i << ": " << a << ", " << b;
    }
  }
}

inline double tolerance_of(DType type) {
  if (type == DType::kFloat16) return 2e-3;
  if (type == DType::kBFloat16) return 1.6e-2;
  return type == DType::kFloat64 ? 1e-12 : 4e-6;
}

// Every kernel that takes the case (one at least does) against the reference, within the type's
// tolerance (exactly for integers).
inline void check_case(const KernelCase& test) {
  const auto kernels = kernels_of(test);
  // Which formats kernels work in is the backend's affair.
  const auto is_last = [](Lay lay) { return lay == Lay::kChannelsLast; };
  if (kernels.empty() && test_backend().name() != "cpu" &&
      std::any_of(test.input_lays.begin(), test.input_lays.end(), is_last)) {
    return;
  }
  EXPECT_FALSE(kernels.empty()) << "no kernel takes " << test.op;
  const auto expected = reference_of(test);
  for (const std::string& kernel : kernels) {
    SCOPED_TRACE(kernel);
    KernelCase one = test;
    one.kernel = kernel;
    const auto actual = run_case(one);
    for (size_t i = 0; i < expected.size(); ++i) {
      const DType type = expected[i].dtype;
      expect_near(actual[i], expected[i], is_floating(type) ? tolerance_of(type) : 0);
    }
  }
}

// Uniform values in [low, high]; whole numbers for integers.
inline HostTensor random_tensor(DType type, std::vector<int64_t> shape, unsigned seed,
                                double low = -2, double high = 2) {
  HostTensor tensor(type, std::move(shape));
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> values(low, high);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const double value = values(random);
    tensor.set(i, type == DType::kBool ? value > 0 : value);
  }
  return tensor;
}

}  // namespace cleave::backend
