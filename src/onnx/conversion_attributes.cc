// The attributes of the node that is converted.
#include <algorithm>

#include "onnx/conversion.h"
#include "onnx/quote.h"

namespace cleave::onnx {

using ::onnx::AttributeProto;

const AttributeProto* Conversion::find(std::string_view name,
                                       AttributeProto::AttributeType type) const {
  const auto it = node_.attributes.find(name);
  if (it == node_.attributes.end()) return nullptr;
  // Files of the first IR versions leave the type out.
  if (it->second->type() != type && it->second->type() != AttributeProto::UNDEFINED) {
    throw Error(ErrorCode::kInvalid, "the attribute " + quote(name) + " is a " +
                                         AttributeProto::AttributeType_Name(it->second->type()) +
                                         ", not a " + AttributeProto::AttributeType_Name(type));
  }
  return it->second;
}

void Conversion::fail_missing_attribute(std::string_view name) const {
  throw Error(ErrorCode::kInvalid, "the attribute " + quote(name) + " is missing",
              "check the model with onnx.checker");
}

bool Conversion::has(std::string_view name) const { return node_.attributes.contains(name); }

int64_t Conversion::integer(std::string_view name, std::optional<int64_t> otherwise) const {
  if (const auto* attribute = find(name, AttributeProto::INT)) return attribute->i();
  if (!otherwise) fail_missing_attribute(name);
  return *otherwise;
}

double Conversion::real(std::string_view name, std::optional<double> otherwise) const {
  if (const auto* attribute = find(name, AttributeProto::FLOAT)) {
    return static_cast<double>(attribute->f());
  }
  if (!otherwise) fail_missing_attribute(name);
  return *otherwise;
}

std::string Conversion::string(std::string_view name, std::optional<std::string> otherwise) const {
  if (const auto* attribute = find(name, AttributeProto::STRING)) return attribute->s();
  if (!otherwise) fail_missing_attribute(name);
  return *otherwise;
}

std::optional<std::vector<int64_t>> Conversion::integer_list(std::string_view name) const {
  const auto* attribute = find(name, AttributeProto::INTS);
  if (attribute == nullptr) return std::nullopt;
  return std::vector<int64_t>(attribute->ints().begin(), attribute->ints().end());
}

std::optional<std::vector<double>> Conversion::real_list(std::string_view name) const {
  const auto* attribute = find(name, AttributeProto::FLOATS);
  if (attribute == nullptr) return std::nullopt;
  return std::vector<double>(attribute->floats().begin(), attribute->floats().end());
}

ir::RecipePtr Conversion::tensor(std::string_view name) const {
  const auto* attribute = find(name, AttributeProto::TENSOR);
  if (attribute == nullptr) fail_missing_attribute(name);
  return state_.reader.read(attribute->t(), node_.name);
}

size_t Conversion::axis(std::string_view name, size_t rank,
                        std::optional<int64_t> otherwise) const {
  return normal_axis(integer(name, otherwise), rank);
}

DType Conversion::dtype(std::string_view name) const {
  const int64_t type = integer(name);
  const auto result = dtype_of(static_cast<int32_t>(std::clamp<int64_t>(type, 0, INT32_MAX)));
  if (!result) {
    throw Unsupported{"the attribute " + quote(name) + " asks for the element type " +
                      onnx_type_name(static_cast<int32_t>(type))};
  }
  return *result;
}

}  // namespace cleave::onnx
