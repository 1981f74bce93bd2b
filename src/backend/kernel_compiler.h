// KernelCompiler: makes the device code that kernels need ahead of their first run, on machines
// that need not have the devices.
#pragma once

#include <cstdint>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

// Functions may be called by several threads at once.
class KernelCompiler {
 public:
  virtual ~KernelCompiler() = default;
  // All that the kernel needs which takes the problem by rule, as far as no library of the devices
  // has its say, and what clocks need. Error(kInternal) where it does not compile, Error(kInvalid)
  // where it cannot be kept.
  virtual void compile(const KernelProblem& problem) = 0;

  struct Done {
    int64_t compiled = 0;  // pieces of device code
    int64_t found = 0;     // that were there already
    std::string folder;    // where they are kept
  };
  virtual Done done() const = 0;
};

}  // namespace cleave::backend
