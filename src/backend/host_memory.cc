#include "backend/host_memory.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace cleave::backend {
namespace {

constexpr size_t kPage = 4096;

// Of few sizes, so that blocks fit again: an eighth of it is wasted at most.
size_t block_bytes(size_t bytes) {
  const size_t step = std::max(kPage, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

}  // namespace

std::shared_ptr<HostMemory> HostMemory::make(size_t most, Get get, GiveBack give_back) {
  return std::shared_ptr<HostMemory>(new HostMemory(most, std::move(get), std::move(give_back)));
}

HostMemory::~HostMemory() {
  for (const auto& [size, block] : free_) give_back_(block);
}

std::shared_ptr<std::byte[]> HostMemory::take(size_t bytes) {
  if (bytes == 0 || bytes > most_) return nullptr;
  std::byte* const block = block_of(block_bytes(bytes));
  if (block == nullptr) return nullptr;
  return {block, [owner = shared_from_this()](std::byte* data) { owner->put_back(data); }};
}

std::byte* HostMemory::block_of(size_t size) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = free_.find(size); found != free_.end()) {
      std::byte* const block = found->second;
      free_.erase(found);
      return block;
    }
    if (!make_room(size)) return nullptr;
    held_ += size;
  }
  auto* const block = static_cast<std::byte*>(get_(size));  // which takes long
  const std::lock_guard lock(mutex_);
  if (block == nullptr) {
    held_ -= size;
  } else {
    sizes_.emplace(block, size);
  }
  return block;
}

void HostMemory::put_back(std::byte* block) {
  const std::lock_guard lock(mutex_);
  free_.emplace(sizes_.at(block), block);
}

// What nobody uses goes until there is room.
bool HostMemory::make_room(size_t size) {
  while (held_ + size > most_ && !free_.empty()) {
    const auto [freed, block] = *free_.begin();
    free_.erase(free_.begin());
    sizes_.erase(block);
    held_ -= freed;
    give_back_(block);
  }
  return held_ + size <= most_;
}

bool HostMemory::owns(const void* data, size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto* const first = static_cast<const std::byte*>(data);
  auto after = sizes_.upper_bound(first);
  if (after == sizes_.begin()) return false;
  const auto& [block, size] = *--after;
  return first + bytes <= block + size;
}

size_t HostMemory::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace cleave::backend
