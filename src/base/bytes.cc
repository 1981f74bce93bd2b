#include "base/bytes.h"

#include <cstdio>

namespace cleave {

std::string text_of_bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  char buffer[32];
  if (bytes >= int64_t{1} << 30) {
    std::snprintf(buffer, sizeof buffer, "%.2f GiB", value / (int64_t{1} << 30));
  } else if (bytes >= 1 << 20) {
    std::snprintf(buffer, sizeof buffer, "%.1f MiB", value / (1 << 20));
  } else if (bytes >= 1 << 10) {
    std::snprintf(buffer, sizeof buffer, "%.1f KiB", value / (1 << 10));
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld bytes", static_cast<long long>(bytes));
  }
  return buffer;
}

}  // namespace cleave
