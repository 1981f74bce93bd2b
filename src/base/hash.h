// 64-bit hashing (xxHash's XXH3), for content identity and checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace cleave {

uint64_t hash_bytes(std::span<const std::byte> bytes, uint64_t seed = 0);
uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);
uint64_t hash_combine(uint64_t a, uint64_t b);

}  // namespace cleave
