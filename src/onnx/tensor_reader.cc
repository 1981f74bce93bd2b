#include "onnx/tensor_reader.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/hash.h"
#include "cleave/error.h"
#include "onnx/limits.h"
#include "onnx/quote.h"

namespace cleave::onnx {
namespace {

using ::onnx::TensorProto;

[[noreturn]] void invalid(const std::string& message) {
  throw Error(ErrorCode::kInvalid, message, "the model is damaged; export it again");
}

std::vector<int64_t> shape_of(const TensorProto& tensor) {
  if (static_cast<size_t>(tensor.dims_size()) > kMaxRank)
    invalid("a tensor of too many dimensions");
  std::vector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  for (const int64_t extent : shape) {
    if (extent < 0) invalid("a dimension is negative: " + std::to_string(extent));
  }
  return shape;
}

// Bytes that a tensor of this type takes. A dimension of 0 does not hide an overflow.
uint64_t byte_count(DType dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  bool is_empty = false;
  for (const int64_t extent : shape) {
    is_empty = is_empty || extent == 0;
    bytes = checked_mul(bytes, std::max<int64_t>(extent, 1));
  }
  return is_empty ? 0 : static_cast<uint64_t>(bytes);
}

void require_bytes(uint64_t actual, uint64_t expected, DType dtype,
                   const std::vector<int64_t>& shape) {
  if (actual == expected) return;
  const Shape dims(shape.begin(), shape.end());
  invalid("a tensor holds " + std::to_string(actual) + " bytes where " +
          TensorType{dtype, dims}.text() + " takes " + std::to_string(expected));
}

uint64_t parse_number(const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || text.empty()) {
    invalid("the external data's " + key + " is no size: " + quote(text));
  }
  return value;
}

// Bytes that come from outside may hold any number where a bool must be 0 or 1.
ir::RecipePtr from_file(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype,
                        std::vector<int64_t> shape) {
  const DType stored = dtype == DType::kBool ? DType::kUInt8 : dtype;
  return ir::cast(ir::constant_file(std::move(source), offset, stored, std::move(shape)), dtype);
}

// Values of at most ir::kSmallConstantBytes are read now.
ir::RecipePtr read_if_small(ir::RecipePtr recipe) {
  if (recipe->bytes() > ir::kSmallConstantBytes) return recipe;
  return ir::constant_value(recipe->read_all());
}

template <class To, class From>
void store(const From& values, HostTensor& into) {
  if (static_cast<int64_t>(values.size()) != into.elements()) {
    invalid("a tensor holds " + std::to_string(values.size()) +
            " values where its dimensions say " + std::to_string(into.elements()));
  }
  size_t i = 0;
  for (const auto value : values) {
    if constexpr (std::is_integral_v<To> && !std::is_same_v<To, bool>) {
      if (!std::in_range<To>(value)) {
        invalid("the value " + std::to_string(value) + " does not fit the type " +
                std::string(name_of(into.dtype)));
      }
    }
    into.data<To>()[i++] = static_cast<To>(value);
  }
}

// Half and bfloat16 are kept as their bits in int32_data.
template <class To>
void store_bits(const google::protobuf::RepeatedField<int32_t>& values, HostTensor& into) {
  HostTensor bits(DType::kUInt16, into.shape);
  store<uint16_t>(values, bits);
  into.bytes = std::move(bits.bytes);
}

// The values of a tensor's typed field.
HostTensor typed_values(const TensorProto& tensor, DType dtype, std::vector<int64_t> shape) {
  // Before the memory is taken: what the fields hold bounds it.
  const int64_t held = int64_t{tensor.float_data_size()} + tensor.int32_data_size() +
                       tensor.int64_data_size() + tensor.double_data_size() +
                       tensor.uint64_data_size();
  const uint64_t bytes = byte_count(dtype, shape);
  if (static_cast<uint64_t>(held) != bytes / size_of(dtype)) {
    invalid("a tensor holds " + std::to_string(held) + " values where its dimensions say " +
            std::to_string(bytes / size_of(dtype)));
  }
  HostTensor value(dtype, std::move(shape));
  switch (dtype) {
    case DType::kFloat32:
      store<float>(tensor.float_data(), value);
      break;
    case DType::kFloat64:
      store<double>(tensor.double_data(), value);
      break;
    case DType::kInt64:
      store<int64_t>(tensor.int64_data(), value);
      break;
    case DType::kUInt64:
      store<uint64_t>(tensor.uint64_data(), value);
      break;
    case DType::kUInt32:
      store<uint32_t>(tensor.uint64_data(), value);
      break;
    case DType::kInt32:
      store<int32_t>(tensor.int32_data(), value);
      break;
    case DType::kInt16:
      store<int16_t>(tensor.int32_data(), value);
      break;
    case DType::kInt8:
      store<int8_t>(tensor.int32_data(), value);
      break;
    case DType::kUInt16:
      store<uint16_t>(tensor.int32_data(), value);
      break;
    case DType::kUInt8:
      store<uint8_t>(tensor.int32_data(), value);
      break;
    case DType::kBool:
      store<bool>(tensor.int32_data(), value);
      break;
    case DType::kFloat16:
      store_bits<Half>(tensor.int32_data(), value);
      break;
    case DType::kBFloat16:
      store_bits<BFloat16>(tensor.int32_data(), value);
      break;
  }
  return value;
}

// Noise that keeps activations of about one size from layer to layer.
double noise_scale(const std::vector<int64_t>& shape) {
  if (shape.size() < 2) return 0.1;
  const int64_t inputs = std::max<int64_t>(1, shape[shape.size() - 2]);
  return std::sqrt(3.0 / static_cast<double>(inputs));
}

}  // namespace

std::optional<DType> dtype_of(int32_t onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT:
      return DType::kFloat32;
    case TensorProto::UINT8:
      return DType::kUInt8;
    case TensorProto::INT8:
      return DType::kInt8;
    case TensorProto::UINT16:
      return DType::kUInt16;
    case TensorProto::INT16:
      return DType::kInt16;
    case TensorProto::INT32:
      return DType::kInt32;
    case TensorProto::INT64:
      return DType::kInt64;
    case TensorProto::BOOL:
      return DType::kBool;
    case TensorProto::FLOAT16:
      return DType::kFloat16;
    case TensorProto::DOUBLE:
      return DType::kFloat64;
    case TensorProto::UINT32:
      return DType::kUInt32;
    case TensorProto::UINT64:
      return DType::kUInt64;
    case TensorProto::BFLOAT16:
      return DType::kBFloat16;
    default:
      return std::nullopt;
  }
}

std::string onnx_type_name(int32_t onnx_type) {
  if (TensorProto::DataType_IsValid(onnx_type)) {
    return TensorProto::DataType_Name(static_cast<TensorProto::DataType>(onnx_type));
  }
  return std::to_string(onnx_type);
}

ir::RecipePtr TensorReader::read(const TensorProto& tensor, std::string_view name) {
  try {
    return read_checked(tensor, name);
  } catch (Error& error) {
    throw error.at("tensor " + quote(name));
  }
}

ir::RecipePtr TensorReader::read_checked(const TensorProto& tensor, std::string_view name) {
  const auto dtype = dtype_of(tensor.data_type());
  if (!dtype) {
    if (tensor.data_type() == TensorProto::UNDEFINED ||
        !TensorProto::DataType_IsValid(tensor.data_type())) {
      invalid("a tensor has an unknown element type: " + onnx_type_name(tensor.data_type()));
    }
    throw Error(ErrorCode::kUnsupported,
                "a tensor has the element type " + onnx_type_name(tensor.data_type()));
  }
  const std::vector<int64_t> shape = shape_of(tensor);
  const uint64_t bytes = byte_count(*dtype, shape);
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    return read_external(tensor, name, *dtype, shape, bytes);
  }
  if (tensor.has_segment()) {
    const auto begin = static_cast<uint64_t>(tensor.segment().begin());
    const auto end = static_cast<uint64_t>(tensor.segment().end());
    require_bytes(end - begin, bytes, *dtype, shape);
    return read_if_small(from_file(model_, begin, *dtype, shape));
  }
  if (tensor.has_raw_data()) {
    require_bytes(tensor.raw_data().size(), bytes, *dtype, shape);
    return read_if_small(
        from_file(memory_source(std::string(name), tensor.raw_data()), 0, *dtype, shape));
  }
  HostTensor value = typed_values(tensor, *dtype, shape);
  if (bytes <= static_cast<uint64_t>(ir::kSmallConstantBytes)) {
    return ir::constant_value(std::move(value));
  }
  std::string raw(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
  const std::string source = model_->name() + ": tensor " + std::string(name);
  return from_file(memory_source(source, std::move(raw)), 0, *dtype, shape);
}

ir::RecipePtr TensorReader::read_external(const TensorProto& tensor, std::string_view name,
                                          DType dtype, std::vector<int64_t> shape, uint64_t bytes) {
  std::string location;
  uint64_t offset = 0;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_number("offset", entry.value());
    if (entry.key() == "length") {
      require_bytes(parse_number("length", entry.value()), bytes, dtype, shape);
    }
  }
  const LateFile& file = files_.at(location);
  if (offset > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - bytes) {
    invalid("the external data's offset is out of range: " + std::to_string(offset));
  }
  if (!file.exists()) {
    if (!options_.random_weights) {
      return from_file(external_source(file, std::string(name)), offset, dtype, std::move(shape));
    }
    const uint64_t seed =
        hash_combine(hash_combine(options_.seed, hash_bytes(location)), hash_combine(1, offset));
    const double scale = noise_scale(shape);
    return ir::constant_noise(dtype, std::move(shape), seed, scale);
  }
  const uint64_t size = file.open().size();
  if (offset + bytes > size) {
    throw Error(ErrorCode::kInvalid,
                "a tensor's values end at byte " + std::to_string(offset + bytes) + " of " +
                    file.path().string() + ", which has " + std::to_string(size) + " bytes",
                "the weight file is cut short or belongs to another model; copy it again");
  }
  return read_if_small(
      from_file(external_source(file, std::string(name)), offset, dtype, std::move(shape)));
}

}  // namespace cleave::onnx
