#include "passes/large_constant.h"

namespace cleave::passes {

std::optional<HostTensor> readable_constant(const ir::Value& value) {
  constexpr int64_t kMostBytes = int64_t{64} << 20;
  if (!value.is_constant() || !value.pieces.empty() || value.constant->bytes() > kMostBytes) {
    return std::nullopt;
  }
  if (const HostTensor* tensor = value.constant->value()) return *tensor;
  try {
    return value.constant->read_all();
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace cleave::passes
