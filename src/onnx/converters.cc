#include "onnx/converters.h"

#include <utility>

namespace cleave::onnx {

void ConverterTable::add(std::string_view domain, std::string_view op, int64_t since,
                         Converter converter) {
  converters_[{std::string(domain), std::string(op)}][since] = std::move(converter);
}

void ConverterTable::add_folder(std::string_view op, ShapeFolder folder) {
  folders_[std::string(op)] = std::move(folder);
}

const Converter* ConverterTable::find(std::string_view domain, std::string_view op,
                                      int64_t version) const {
  const auto versions = converters_.find({std::string(domain), std::string(op)});
  if (versions == converters_.end()) return nullptr;
  const auto behind = versions->second.upper_bound(version);
  return behind == versions->second.begin() ? nullptr : &std::prev(behind)->second;
}

const ShapeFolder* ConverterTable::find_folder(std::string_view domain, std::string_view op) const {
  if (!domain.empty()) return nullptr;
  const auto it = folders_.find(op);
  return it == folders_.end() ? nullptr : &it->second;
}

bool ConverterTable::knows(std::string_view domain, std::string_view op) const {
  return converters_.contains({std::string(domain), std::string(op)});
}

ConverterTable ConverterTable::builtin() {
  ConverterTable table;
  add_elementwise_converters(table);
  add_constant_converters(table);
  add_shape_converters(table);
  add_slicing_converters(table);
  add_indexing_converters(table);
  add_ordering_converters(table);
  add_reduction_converters(table);
  add_einsum_converters(table);
  add_quantization_converters(table);
  add_axis_norm_converters(table);
  add_pooling_converters(table);
  add_channel_norm_converters(table);
  add_resize_converters(table);
  add_matrix_converters(table);
  add_convolution_converters(table);
  add_network_converters(table);
  add_attention_converters(table);
  add_microsoft_converters(table);
  add_microsoft_attention_converters(table);
  add_shape_folders(table);
  return table;
}

}  // namespace cleave::onnx
