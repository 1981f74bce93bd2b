// HostMemory: memory of the host that a backend's devices copy from and to by themselves, in blocks
// that are used again.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace cleave::backend {

// For tensors that are inputs and results of run after run: such memory takes long to get.
// Functions may be called by several threads at once. Pieces keep it alive.
class HostMemory : public std::enable_shared_from_this<HostMemory> {
 public:
  using Get = std::function<void*(size_t bytes)>;  // aligned to 64; null where there is none
  using GiveBack = std::function<void(void* block)>;
  // Holds at most `most` bytes, those that nobody uses included.
  static std::shared_ptr<HostMemory> make(size_t most, Get get, GiveBack give_back);
  ~HostMemory();

  // At least `bytes`, holding anything; null where that is too much. The memory comes back with the
  // last copy of the pointer.
  std::shared_ptr<std::byte[]> take(size_t bytes);
  // Whether all of these bytes are of one piece, or were of one.
  bool owns(const void* data, size_t bytes) const;
  size_t held() const;  // bytes

 private:
  HostMemory(size_t most, Get get, GiveBack give_back)
      : most_(most), get_(std::move(get)), give_back_(std::move(give_back)) {}
  std::byte* block_of(size_t size);
  void put_back(std::byte* block);
  bool make_room(size_t size);  // locked

  const size_t most_;
  const Get get_;
  const GiveBack give_back_;
  mutable std::mutex mutex_;
  size_t held_ = 0;
  std::map<const std::byte*, size_t, std::less<>> sizes_;  // of all blocks
  std::multimap<size_t, std::byte*> free_;                 // by size
};

}  // namespace cleave::backend
