// Kernel: one way to carry out an instruction on a backend. Several kernels of one op are tried in
// order; each refuses a problem with a reason or prepares it once, to be run often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/device.h"
#include "types/attributes.h"
#include "types/format.h"

namespace cleave::backend {

// More is asked for by no kernel. A device's memory and an arena's operands begin at such
// addresses.
inline constexpr int64_t kMostAlignment = 16;

// How one operand lies in memory; all sizes are numbers. Element [i, j, ...] is
// pointer[i * strides[0] + j * strides[1] + ...]: pointers given to kernels already hold the
// operand's `element_offset`. Strides are ≥ 0.
struct TensorView {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements
  bool present = true;           // false: an optional input that is not there
  // Bytes that the first element's address is a multiple of: a power of two, kMostAlignment at
  // most. Says nothing of a caller's memory, which is read in place where memory is the host's.
  int64_t alignment = kMostAlignment;

  // Without gaps in this format.
  static TensorView dense(DType dtype, std::vector<int64_t> shape,
                          Format format = Format::kRowMajor);
  static TensorView absent();
  // Row-major without gaps; dimensions of size 1 may have any stride, empty tensors any strides.
  bool is_dense() const { return has_format(Format::kRowMajor); }
  bool has_format(Format format) const;
  int64_t elements() const;  // 0 where absent
  // From its first element to behind the last that it reaches; 0 where it has none.
  int64_t reach_bytes() const;
  size_t rank() const { return shape.size(); }
  // "f32[2, 3]", with strides where not dense, and the alignment where it is not the most.
  std::string text() const;
};

// An instruction with all sizes known, on one rank.
struct KernelProblem {
  std::string_view op;
  const Attributes& attributes;  // evaluated: all Dims are constants
  std::vector<TensorView> inputs;
  std::vector<TensorView> outputs;
  // Data of the inputs that are weights (else null) in the device's memory, valid while the kernel
  // is prepared.
  std::vector<const void*> constant_inputs = {};
  // Which weight each is: equal keys mean equal bytes, type and view (the weight's identity hashed
  // with offset, shape and strides of the view). 0: not a weight, or not to be kept packed. Inputs
  // with neither data nor key are no weights; both lists may be empty.
  std::vector<uint64_t> constant_keys = {};
  // Where set, gives the data of an input with a key when it is asked for: a kernel that finds its
  // packed weight in the cache need not have the original loaded.
  std::function<const void*(size_t input)> load_constant = {};
  // Which of its kernel's `algorithms` is to be used; empty, or not known to it: as it thinks best.
  std::string algorithm = {};
  int threads = 1;  // of the device, for the shape of the work; results do not depend on it

  // Whether `constant` gives data while the kernel is prepared.
  bool is_constant(size_t input) const {
    return (input < constant_inputs.size() && constant_inputs[input] != nullptr) || key(input) != 0;
  }
  const void* constant(size_t input) const {
    if (input < constant_inputs.size() && constant_inputs[input] != nullptr) {
      return constant_inputs[input];
    }
    return load_constant && key(input) != 0 ? load_constant(input) : nullptr;
  }
  uint64_t key(size_t input) const {
    return input < constant_keys.size() ? constant_keys[input] : 0;
  }
};

// Weights repacked into the order a kernel reads them, once a weight and device; shared by all
// shapes, programs and contexts. Safe to use from several threads.
class KernelCache {
 public:
  // Packed weights are memory of `device`.
  explicit KernelCache(Device& device) : device_(device) {}

  // The packed weight `key` (a constant key hashed with the format); `pack` fills `bytes` of memory
  // where it is not there yet. Error(kOutOfMemory).
  std::shared_ptr<const Buffer> packed(uint64_t key, int64_t bytes, std::string_view what,
                                       const std::function<void(std::byte*)>& pack);
  int64_t packed_bytes() const;
  // Drops all weights that no prepared kernel holds.
  void drop_unused();
  Device& device() { return device_; }

 private:
  Device& device_;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<const Buffer>> packed_;
};

// What one call of a kernel works with beside its operands.
struct Launch {
  std::byte* workspace = nullptr;  // aligned to 64 bytes, for this call alone
  ThreadPool& pool;                // the device's
  StreamHandle stream = {};        // that the work is put on; the CPU's is done on return
};

// A problem made ready. `run` may be called by several threads at once, each with its own
// workspace.
class PreparedKernel {
 public:
  virtual ~PreparedKernel() = default;
  // `inputs` and `outputs` as the problem's views; null where absent or empty. The workspace holds
  // workspace_bytes(). Outputs do not overlap inputs, except that an output of fused_elementwise
  // may be one of its inputs where both views are the same.
  virtual void run(std::span<const void* const> inputs, std::span<void* const> outputs,
                   const Launch& launch) const = 0;
  virtual int64_t workspace_bytes() const { return 0; }
  // False for a weight that has been packed: `run` does not read the original, null will do.
  virtual bool reads_input(size_t input) const {
    static_cast<void>(input);
    return true;
  }
  // KernelProblem::algorithm where that is what it uses; empty where none was asked for or the
  // kernel does not know it.
  virtual std::string_view algorithm() const { return {}; }
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::string_view op() const = 0;    // the op it carries out
  virtual std::string_view name() const = 0;  // for example "matmul.onednn"
  // Why it does not take the problem; nothing where it does. `prepare` then succeeds but for
  // memory.
  virtual std::optional<std::string> refuses(const KernelProblem& problem) const = 0;
  // False: another takes all that it takes, and only where it was timed to be faster is it chosen.
  virtual bool is_chosen_by_rule() const { return true; }
  // The ways in which a library could carry out a problem that the kernel takes, where there are
  // several for tuning to choose from; first the one that is used where none is asked for. Names
  // are kept in timing caches: the same name is the same algorithm in every process on this kind of
  // device, so the library's version is part of it.
  virtual std::vector<std::string> algorithms(const KernelProblem& problem,
                                              KernelCache& cache) const {
    static_cast<void>(problem);
    static_cast<void>(cache);
    return {};
  }
  // Why the one that is used where none is asked for may take many times as long as the best, which
  // users are told; nothing where the two are known to be close.
  virtual std::optional<std::string> wants_tuning(const KernelProblem& problem) const {
    static_cast<void>(problem);
    return std::nullopt;
  }
  virtual std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                                  KernelCache& cache) const = 0;
};

// A kernel and the microseconds that a call of it took.
struct KernelTime {
  std::string kernel;  // by name
  double us = 0;
  std::string algorithm = {};  // of the kernel's, where it has several

  std::string text() const;  // "matmul.cublas algorithm 13.1.0/id66", without the time
  bool operator==(const KernelTime&) const = default;
};
// Of one problem: the fastest kernel comes first.
using KernelTimes = std::vector<KernelTime>;

// The kernels of one backend, in the order in which they are tried. A value: plug-ins add to a
// copy.
class KernelRegistry {
 public:
  void add(std::shared_ptr<const Kernel> kernel);        // tried after those that are there
  void add_front(std::shared_ptr<const Kernel> kernel);  // tried before them
  std::span<const std::shared_ptr<const Kernel>> of(std::string_view op) const;
  // Those that take the problem, in that order.
  std::vector<const Kernel*> takers(const KernelProblem& problem) const;

  struct Refusal {
    std::string kernel;
    std::string reason;
  };
  struct Choice {
    const Kernel* kernel = nullptr;  // null: all refuse, or there is none for the op
    std::string algorithm;           // of the kernel's, as timed; empty where it was by rule
    std::vector<Refusal> refusals;   // of the kernels tried before it
    KernelTimes times;               // that it was chosen by; none where it was by rule
    // "matmul.onednn (tuned: 41 us; matmul.tiled 46 us)", "matmul.plain (matmul.tiled: it takes
    // f32)"
    std::string text() const;
  };
  // The fastest of `times` (null or empty: not timed); by rule, the first in order that takes the
  // problem and is chosen so, where nothing was timed or the fastest is gone or refuses.
  Choice choose(const KernelProblem& problem, const KernelTimes* times = nullptr) const;
  // The kernel chosen; Error(kUnsupported) that lists every refusal where there is none.
  const Kernel& at(const KernelProblem& problem) const;

 private:
  std::map<std::string, std::vector<std::shared_ptr<const Kernel>>, std::less<>> kernels_;
};

}  // namespace cleave::backend
