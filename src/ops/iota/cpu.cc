// Tensors that are made from nothing, on the CPU.
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

std::optional<std::string> refuse_iota(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 0, 0)) return reason;
  return refuse_strides(problem);
}

RunFunction prepare_iota(const KernelProblem& problem) {
  const TensorView& y = problem.outputs[0];
  const AxisView view(y.shape, static_cast<size_t>(problem.attributes.integer("axis")));
  const int64_t offset = problem.attributes.integer("offset", 0);
  const DType type = y.dtype;
  return [=](std::span<const void* const>, std::span<void* const> outputs, ThreadPool& pool) {
    pool.parallel_for(view.outer, [&](int64_t o) {
      dispatch_dtype(type, [&]<class T>() {
        T* to = static_cast<T*>(outputs[0]) + o * view.extent * view.inner;
        for (int64_t e = 0; e < view.extent; ++e) {
          const T value = narrowed<T>(e + offset);
          std::fill_n(to + e * view.inner, view.inner, value);
        }
      });
    });
  };
}

// The few values are known when the kernel is prepared.
RunFunction prepare_shape_values(const KernelProblem& problem) {
  const auto values = problem.attributes.integers("values");
  HostTensor tensor(problem.outputs[0].dtype, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) {
    tensor.set_integer(static_cast<int64_t>(i), values[i]);
  }
  return [tensor](std::span<const void* const>, std::span<void* const> outputs, ThreadPool&) {
    std::copy(tensor.bytes.begin(), tensor.bytes.end(), static_cast<std::byte*>(outputs[0]));
  };
}

std::optional<std::string> refuse_shape_values(const KernelProblem& problem) {
  if (auto reason = refuse_iota(problem)) return reason;
  if (problem.outputs[0].elements() !=
      static_cast<int64_t>(problem.attributes.integers("values").size())) {
    return "the result has another size";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_iota_cpu() {
  return {std::make_shared<SimpleKernel>("iota", "iota.plain", refuse_iota, prepare_iota),
          std::make_shared<SimpleKernel>("shape_values", "shape_values.plain", refuse_shape_values,
                                         prepare_shape_values)};
}

}  // namespace cleave::backend
