// ExactTimes: what kernels take at the very sizes that planning asks about, from devices at hand or
// from what was timed on them before. Curves between measured sizes (machine_model.h) do not tell
// where a library has a fast kernel and where it has none; that decides between the splits of a
// large convolution.
#pragma once

#include <optional>
#include <span>

#include "cost/profiler.h"
#include "ops/definition.h"

namespace cleave::cost {

class ExactTimes {
 public:
  virtual ~ExactTimes() = default;
  // Microseconds of one call; nothing where it cannot be had. The same for the same kernel as long
  // as the object lives.
  virtual std::optional<double> kernel_us(const KernelSpec& spec) = 0;
};

// The kernel of an op on these numeric types, where it is one whose time is worth asking for; the
// attributes may be those of the whole op of which this is a rank's part. Nothing for others.
std::optional<KernelSpec> exact_spec(const ops::OpDefinition& definition,
                                     const ops::OpContext& context,
                                     std::span<const TensorType> outputs, bool packed,
                                     Format format);

}  // namespace cleave::cost
