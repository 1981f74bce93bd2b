// PackedWeight: operand 1 of a kernel in the order in which it is read: packed once and kept where
// it is a constant, else at every run, into the kernel's workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "backend/kernel.h"
#include "base/hash.h"

namespace cleave::backend {

class PackedWeight {
 public:
  // `pack(weight, to)` writes `bytes` bytes. `format` names the order: equal names mean equal ones.
  template <class Pack>
  void prepare(const KernelProblem& problem, KernelCache& cache, std::string_view format,
               int64_t bytes, const Pack& pack) {
    bytes_ = bytes;
    if (!problem.is_constant(1) || problem.key(1) == 0) return;
    kept_ = cache.packed(hash_combine(problem.key(1), hash_bytes(format)), bytes, "a packed weight",
                         [&](std::byte* to) { pack(problem.constant(1), to); });
  }

  int64_t workspace_bytes() const { return kept_ == nullptr ? bytes_ : 0; }
  // See PreparedKernel::reads_input.
  bool reads(size_t input) const { return input != 1 || kept_ == nullptr; }
  // The packed weight; `workspace` holds workspace_bytes().
  template <class Pack>
  const float* floats(const void* weight, std::byte* workspace, const Pack& pack) const {
    if (kept_ != nullptr) return reinterpret_cast<const float*>(kept_->data());
    pack(weight, workspace);
    return reinterpret_cast<const float*>(workspace);
  }

 private:
  int64_t bytes_ = 0;
  std::shared_ptr<const Buffer> kept_;
};

}  // namespace cleave::backend
