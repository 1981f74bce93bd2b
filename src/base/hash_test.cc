#include "base/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace cleave {
namespace {

TEST(Hasher, IsTheHashOfAllPieces) {
  std::vector<std::byte> bytes(100'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 3);
  for (const size_t piece : {size_t{1}, size_t{63}, size_t{256}, size_t{40'000}, bytes.size()}) {
    Hasher hasher;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      hasher.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    EXPECT_EQ(hasher.value(), hash_bytes(bytes)) << piece;
  }
  EXPECT_EQ(Hasher().value(), hash_bytes(std::span<const std::byte>()));
}

}  // namespace
}  // namespace cleave
