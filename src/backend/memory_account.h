// What a device's memory holds, and what it may hold.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "backend/device.h"

namespace cleave::backend {

// "12.5 MiB"
std::string mebibytes(int64_t bytes);

// Functions may be called by several threads at once.
class MemoryAccount {
 public:
  // Of `device`, by its name; a limit of 0 is none.
  MemoryAccount(std::string device, int64_t limit);

  // Error(kOutOfMemory) where the limit forbids it, which names what needed how much.
  void reserve(int64_t bytes, std::string_view what);
  void give_back(int64_t bytes) noexcept;
  MemoryUse use() const;
  void set_limit(int64_t bytes);
  void reset_peak();

 private:
  const std::string device_;
  mutable std::mutex mutex_;
  MemoryUse use_;
};

}  // namespace cleave::backend
