#include "types/dtype.h"

#include <array>

namespace cleave {
namespace {

struct Info {
  std::string_view name;
  size_t size;
};
constexpr std::array<Info, 13> kTypes = {{{"f32", 4},
                                          {"f16", 2},
                                          {"bf16", 2},
                                          {"f64", 8},
                                          {"i8", 1},
                                          {"i16", 2},
                                          {"i32", 4},
                                          {"i64", 8},
                                          {"u8", 1},
                                          {"u16", 2},
                                          {"u32", 4},
                                          {"u64", 8},
                                          {"bool", 1}}};

}  // namespace

size_t size_of(DType type) { return kTypes.at(static_cast<size_t>(type)).size; }

std::string_view name_of(DType type) { return kTypes.at(static_cast<size_t>(type)).name; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

bool is_floating(DType type) { return type <= DType::kFloat64; }
bool is_integer(DType type) { return type >= DType::kInt8 && type <= DType::kUInt64; }

}  // namespace cleave
