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

// Gemm: alpha · a b + beta · c, with a and b transposed where asked for.
ir::ValueId gemm_product(Conversion& c);

// GlobalMaxPool, GlobalAveragePool and GlobalLpPool: reductions of input 0, [n, c, image...], to
// output 0, [n, c, 1...].
void global_max_pool(Conversion& c);
void global_average_pool(Conversion& c);
void global_lp_pool(Conversion& c);

// Conv, with the bias of each channel where there is one.
ir::ValueId convolution(Conversion& c);

// The node's input 0, [batch, heads, rows, depth] or with `heads` [batch, rows, heads · depth],
// with the first `turned` elements of each depth (all, where it is 0) rotated by the angles whose
// cosines and sines are [batch or 1, rows, turned / 2].
ir::ValueId rotary_embedding(Conversion& c, int64_t heads, const Dim& turned, ir::ValueId cosines,
                             ir::ValueId sines);

// [batch, rows, heads · depth] → [batch, heads, rows, depth].
ir::ValueId by_heads(Conversion& c, ir::ValueId x, int64_t heads);

// Lengths [batch] as the columns that are before them: bool [batch, 1, 1, columns].
ir::ValueId columns_before(Conversion& c, ir::ValueId lengths, const Dim& columns);

// The domain of ONNX Runtime's own ops, which its optimizer writes.
inline constexpr std::string_view kMicrosoft = "com.microsoft";

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
void add_attention_converters(ConverterTable& table);
void add_microsoft_converters(ConverterTable& table);
void add_microsoft_attention_converters(ConverterTable& table);
void add_shape_folders(ConverterTable& table);

}  // namespace cleave::onnx
