// The converters: how each op of ONNX becomes ops of the IR.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "onnx/conversion.h"

namespace cleave::onnx {

// Sets the outputs as symbolic tensors where it can; otherwise leaves them alone.
// Called where an operand is a symbolic tensor; `converter` is the node's.
using ShapeFolder = std::function<void(Conversion&, const Converter& converter)>;

// Operator sets of ONNX's own domain that Cleave reads.
inline constexpr int64_t kOldestOperatorSet = 7;
inline constexpr int64_t kNewestOperatorSet = 28;

class ConverterTable {
 public:
  // For nodes of versions [since, next registered version).
  void add(std::string_view domain, std::string_view op, int64_t since, Converter converter);
  void add(std::string_view op, int64_t since, Converter converter) {
    add("", op, since, std::move(converter));
  }
  void add_folder(std::string_view op, ShapeFolder folder);

  // Null where there is none.
  const Converter* find(std::string_view domain, std::string_view op, int64_t version) const;
  const ShapeFolder* find_folder(std::string_view domain, std::string_view op) const;
  // Whether any version of the op is known.
  bool knows(std::string_view domain, std::string_view op) const;

  // All that Cleave has.
  static ConverterTable builtin();

 private:
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::map<int64_t, Converter>> converters_;
  std::map<std::string, ShapeFolder, std::less<>> folders_;
};

// The product of ONNX's MatMul: leading dimensions broadcast, a vector counts as a row on the left
// and as a column on the right.
ir::ValueId matrix_product(Conversion& c, ir::ValueId a, ir::ValueId b);

// The parts of `builtin`, by subject.
void add_elementwise_converters(ConverterTable& table);
void add_constant_converters(ConverterTable& table);
void add_shape_converters(ConverterTable& table);
void add_slicing_converters(ConverterTable& table);
void add_indexing_converters(ConverterTable& table);
void add_ordering_converters(ConverterTable& table);
void add_reduction_converters(ConverterTable& table);
void add_quantization_converters(ConverterTable& table);
void add_einsum_converters(ConverterTable& table);
void add_axis_norm_converters(ConverterTable& table);
void add_pooling_converters(ConverterTable& table);
void add_channel_norm_converters(ConverterTable& table);
void add_resize_converters(ConverterTable& table);
void add_matrix_converters(ConverterTable& table);
void add_convolution_converters(ConverterTable& table);
void add_network_converters(ConverterTable& table);
void add_shape_folders(ConverterTable& table);

}  // namespace cleave::onnx
