#include "backend/memory_account.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cleave/error.h"

namespace cleave::backend {

std::string mebibytes(int64_t bytes) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return buffer;
}

MemoryAccount::MemoryAccount(std::string device, int64_t limit) : device_(std::move(device)) {
  use_.limit = limit;
}

void MemoryAccount::reserve(int64_t bytes, std::string_view what) {
  const std::lock_guard lock(mutex_);
  if (use_.limit > 0 && bytes > use_.limit - use_.now) {
    throw Error(ErrorCode::kOutOfMemory,
                std::string(what) + " needs " + mebibytes(bytes) + " on " + device_ + ", where " +
                    mebibytes(use_.now) + " of " + mebibytes(use_.limit) + " are in use",
                "allow at least " + mebibytes(use_.now + bytes) +
                    ", use more devices or a smaller profile");
  }
  use_.now += bytes;
  use_.peak = std::max(use_.peak, use_.now);
}

void MemoryAccount::give_back(int64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  use_.now -= bytes;
}

MemoryUse MemoryAccount::use() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

void MemoryAccount::set_limit(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  use_.limit = bytes;
}

void MemoryAccount::reset_peak() {
  const std::lock_guard lock(mutex_);
  use_.peak = use_.now;
}

}  // namespace cleave::backend
