// The fixed first bytes of an engine file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cleave::program {

struct EngineHeader {
  static constexpr size_t kBytes = 128;
  // The last four catch transfers that rewrite line ends, as PNG's do.
  static constexpr std::array<char, 8> kMagic = {'C', 'l', 'e', 'a', 'v', 'e', '\r', '\n'};

  uint32_t version = 0;
  uint64_t file_bytes = 0;
  uint64_t metadata_bytes = 0;
  uint64_t table_offset = 0;    // a multiple of 8
  uint64_t weights_offset = 0;  // a multiple of 4096
  uint64_t weights_bytes = 0;
  uint64_t chunk_bytes = 0;
  uint64_t front_checksum = 0;  // of everything between header and weight section

  uint64_t chunks() const { return (weights_bytes + chunk_bytes - 1) / chunk_bytes; }

  // The offsets that follow from the sizes.
  static EngineHeader lay_out(uint64_t metadata_bytes, uint64_t weights_bytes,
                              uint64_t chunk_bytes);

  std::array<std::byte, kBytes> encode() const;
  // Error(kInvalid) unless the bytes are a header of this version, undamaged, that agrees with
  // itself and with a file of `file_bytes`.
  static EngineHeader decode(std::span<const std::byte> bytes, uint64_t file_bytes,
                             const std::string& file);
};

}  // namespace cleave::program
