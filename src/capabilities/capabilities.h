// Capabilities: what a backend can do, known without a device. Planner and lowering read the same
// facts, so that what was costed is what runs.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "types/attributes.h"
#include "types/format.h"
#include "types/fused.h"
#include "types/tensor_type.h"

namespace cleave::capabilities {

// What a kernel is given.
struct Operand {
  TensorType type;
  bool weight = false;  // known when the engine is loaded
};

// What a chain of element-wise operations reads beside the result that it follows.
struct ChainOperand {
  TensorType type;  // in the chain's shape
  Shape source;     // what is read again and again, of the same rank: 1 where it is stretched
};

class Capabilities {
 public:
  virtual ~Capabilities() = default;
  virtual std::string_view backend() const = 0;
  // A matrix product costs more than its arithmetic where it is small: one is better than several.
  virtual bool merges_products() const = 0;
  // Element-wise ops behind `op` may run in its kernel (bias, activation, residual).
  virtual bool fuses_epilogue(std::string_view op) const = 0;
  // This chain may, whose operand 0 is the op's result, of type `result`; `operands` are the
  // others.
  virtual bool fuses_chain(std::string_view op, const FusedProgram& chain, const TensorType& result,
                           std::span<const ChainOperand> operands) const = 0;
  // The kernel of `op` reads operand `input` through strides (a view), not only dense.
  virtual bool reads_strided(std::string_view op, size_t input) const = 0;
  // The same where the last dimension has no gaps: rows may lie anywhere.
  virtual bool reads_rows(std::string_view op, size_t input) const = 0;
  // The same where the dimension before the last has no gaps: a transposed matrix.
  virtual bool reads_columns(std::string_view op, size_t input) const = 0;
  // A kernel of `op` writes results of `dtype` in `format`; all write row-major. It then reads the
  // operands of which `reads_as_result` is true in the same format (or, where it takes strides, is
  // fastest with them so), others row-major. Where it is false of operand 0, the op takes as long
  // whatever it writes.
  virtual bool writes(std::string_view op, DType dtype, Format format) const = 0;
  virtual bool reads_as_result(std::string_view op, size_t input) const = 0;
  // The kernel of `op` reads operands that lie in another order than its result along memory all
  // the same, which takes less time than to copy them first.
  virtual bool reads_across(std::string_view op) const = 0;
  // How operand 0 lies decides the time of `op`, which writes row-major results.
  virtual bool costs_by_operand(std::string_view op) const = 0;
  // Upper bounds on the bytes that a kernel of `op` may use beside its operands while it runs, and
  // on those of the packed copy that it keeps instead of the weight `input` (0: it reads the weight
  // itself). Types are local.
  virtual Dim workspace_bytes(std::string_view op, const Attributes& attributes,
                              std::span<const Operand> inputs) const = 0;
  virtual Dim packed_bytes(std::string_view op, const Attributes& attributes, size_t input,
                           const TensorType& weight) const = 0;
};

std::shared_ptr<const Capabilities> cpu();
// Those of a backend by name, whether or not it is part of this build.
std::shared_ptr<const Capabilities> of_backend(std::string_view backend);

}  // namespace cleave::capabilities
