// OpCapabilities: what a backend's kernels of one op can do. Each op's are in its own folder,
// src/ops/<op>/capabilities_<backend>.cc; Capabilities asks them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capabilities/capabilities.h"

namespace cleave::capabilities {

// The defaults are those of a kernel that takes and makes dense row-major tensors, and keeps
// nothing beside its operands. Members mean what those of the same name in Capabilities do.
class OpCapabilities {
 public:
  virtual ~OpCapabilities() = default;
  virtual bool fuses_epilogue() const { return false; }
  // Of ops that fuse an epilogue.
  virtual bool fuses_chain(const FusedProgram& chain, const TensorType& result,
                           std::span<const ChainOperand> operands) const {
    static_cast<void>(chain);
    static_cast<void>(result);
    static_cast<void>(operands);
    return true;
  }
  virtual bool reads_strided(size_t input) const {
    static_cast<void>(input);
    return false;
  }
  virtual bool reads_rows(size_t input) const { return reads_strided(input); }
  virtual bool reads_columns(size_t input) const { return reads_strided(input); }
  virtual bool writes(DType dtype, Format format) const {
    static_cast<void>(dtype);
    return format == Format::kRowMajor;
  }
  virtual bool reads_as_result(size_t input) const {
    static_cast<void>(input);
    return false;
  }
  virtual bool reads_across() const { return false; }
  virtual bool costs_by_operand() const { return false; }
  virtual Dim workspace_bytes(const Attributes& attributes, std::span<const Operand> inputs) const {
    static_cast<void>(attributes);
    static_cast<void>(inputs);
    return int64_t{1} << 20;
  }
  virtual Dim packed_bytes(const Attributes& attributes, size_t input,
                           const TensorType& weight) const {
    static_cast<void>(attributes);
    static_cast<void>(input);
    static_cast<void>(weight);
    return 0;
  }
};

// An op that works in memory's order: its operands and results lie in one format, whichever.
class AnyFormat : public OpCapabilities {
 public:
  bool writes(DType, Format) const override { return true; }
  bool reads_as_result(size_t) const override { return true; }
};

// The same of an op whose kernels are for the formats of images.
class ImageFormats : public AnyFormat {
 public:
  bool writes(DType, Format format) const override { return is_image_format(format); }
};

// An op that reads all operands through strides.
class AnyStrides : public OpCapabilities {
 public:
  bool reads_strided(size_t) const override { return true; }
};

// An op that reads all operands through strides, and whose results lie in any format: it takes
// elements in any order, and is fastest where all operands lie as the result does.
class AnyView : public AnyStrides {
 public:
  bool writes(DType, Format) const override { return true; }
  bool reads_as_result(size_t) const override { return true; }
};

// The same of an op that makes images.
class ImageView : public AnyView {
 public:
  bool writes(DType, Format format) const override { return is_image_format(format); }
};

using OpCapabilitiesList =
    std::vector<std::pair<std::string, std::shared_ptr<const OpCapabilities>>>;

// Those of each backend: cmake/CleaveOps.cmake writes the lists from the folders.
OpCapabilitiesList cpu_op_capabilities();
OpCapabilitiesList cuda_op_capabilities();

}  // namespace cleave::capabilities
