// SmallMemory: small pieces of a device's memory, cut from larger blocks and used again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace cleave::backend {

// For devices that take long to give memory and to take it back: networks have many small weights,
// tables and results. Blocks stay until the owner takes them. Used by one thread at a time.
class SmallMemory {
 public:
  static constexpr int64_t kLargest = int64_t{256} << 10;  // what is larger is no small piece
  static constexpr int64_t kBlock = int64_t{2} << 20;

  // `more` gives a block of kBlock bytes, aligned to 256; null where there is none.
  explicit SmallMemory(std::function<std::byte*()> more) : more_(std::move(more)) {}

  // At least `bytes` (1 to kLargest) aligned to 256, holding anything; null where `more` gives
  // null.
  std::byte* take(int64_t bytes);
  // What `take` gave for so many bytes.
  void put_back(std::byte* data, int64_t bytes);
  bool owns(const std::byte* data) const;

  // All blocks, which are the caller's from now on; no piece is in use.
  std::vector<std::byte*> release();

 private:
  // Pieces are of sizes 2^n · kLeast.
  static constexpr int64_t kLeast = 256;
  static constexpr size_t kSizes = 11;
  static_assert(kLeast << (kSizes - 1) == kLargest);
  static size_t size_class(int64_t bytes);

  std::function<std::byte*()> more_;
  std::vector<std::byte*> blocks_;
  int64_t left_ = 0;  // of the last block
  std::array<std::vector<std::byte*>, kSizes> free_;
};

}  // namespace cleave::backend
