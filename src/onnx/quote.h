// Names from a model, shown in messages.
#pragma once

#include <string>
#include <string_view>

namespace cleave::onnx {

// The name in quotes, control characters escaped, a long one shortened.
inline std::string quote(std::string_view name) {
  constexpr size_t kLongest = 200;
  constexpr const char* kHex = "0123456789abcdef";
  std::string out = "'";
  for (const char c : name.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out + (name.size() > kLongest ? "...'" : "'");
}

}  // namespace cleave::onnx
