#include "backend/small_memory.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace cleave::backend {

size_t SmallMemory::size_class(int64_t bytes) {
  CLEAVE_CHECK(bytes > 0 && bytes <= kLargest, "no small piece of memory");
  size_t size = 0;
  while (kLeast << size < bytes) ++size;
  return size;
}

std::byte* SmallMemory::take(int64_t bytes) {
  const size_t size = size_class(bytes);
  if (!free_[size].empty()) {
    std::byte* const piece = free_[size].back();
    free_[size].pop_back();
    return piece;
  }
  const int64_t wanted = kLeast << size;
  if (left_ < wanted) {
    std::byte* const block = more_();
    if (block == nullptr) return nullptr;
    blocks_.push_back(block);
    left_ = kBlock;
  }
  std::byte* const piece = blocks_.back() + (kBlock - left_);
  left_ -= wanted;
  return piece;
}

void SmallMemory::put_back(std::byte* data, int64_t bytes) {
  free_[size_class(bytes)].push_back(data);
}

bool SmallMemory::owns(const std::byte* data) const {
  return std::any_of(blocks_.begin(), blocks_.end(), [&](const std::byte* block) {
    return data >= block && data < block + kBlock;
  });
}

std::vector<std::byte*> SmallMemory::release() {
  left_ = 0;
  for (auto& pieces : free_) pieces.clear();
  return std::exchange(blocks_, {});
}

}  // namespace cleave::backend
