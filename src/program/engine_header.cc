#include "program/engine_header.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "program/engine_file.h"

namespace cleave::program {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

// Bounds what a hostile file makes us allocate; engines of a hundred layers need a few MiB.
constexpr uint64_t kMetadataLimit = uint64_t{256} << 20;
constexpr uint64_t kSizeLimit = uint64_t{1} << 60;
constexpr size_t kChecksumOffset = EngineHeader::kBytes - sizeof(uint64_t);

uint64_t round_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

template <class T>
void put(std::span<std::byte> bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}
template <class T>
T take(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw Error(ErrorCode::kInvalid, "the engine is damaged: " + what,
              "build it again, or copy it again from where it is whole")
      .at(file);
}

void check_start(std::span<const std::byte> bytes, const std::string& file) {
  const size_t start = std::min(bytes.size(), EngineHeader::kMagic.size());
  if (start == 0 || std::memcmp(bytes.data(), EngineHeader::kMagic.data(), start) != 0) {
    throw Error(ErrorCode::kInvalid, "this is not a Cleave engine",
                "give a file made by `cleave build`")
        .at(file);
  }
  if (bytes.size() < EngineHeader::kBytes) damaged(file, "it is cut short inside its header");
  const auto version = take<uint32_t>(bytes, 8);
  if (version != kEngineVersion) {
    throw Error(ErrorCode::kInvalid,
                "the engine has format version " + std::to_string(version) +
                    ", this Cleave reads version " + std::to_string(kEngineVersion),
                "build the engine again with this Cleave")
        .at(file);
  }
}

}  // namespace

EngineHeader EngineHeader::lay_out(uint64_t metadata_bytes, uint64_t weights_bytes,
                                   uint64_t chunk_bytes) {
  EngineHeader header;
  header.version = kEngineVersion;
  header.metadata_bytes = metadata_bytes;
  header.weights_bytes = weights_bytes;
  header.chunk_bytes = chunk_bytes;
  header.table_offset = round_up(kBytes + metadata_bytes, 8);
  header.weights_offset = round_up(header.table_offset + 8 * header.chunks(), 4096);
  header.file_bytes = header.weights_offset + weights_bytes;
  return header;
}

std::array<std::byte, EngineHeader::kBytes> EngineHeader::encode() const {
  std::array<std::byte, kBytes> bytes{};
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  put(bytes, 8, version);
  put(bytes, 12, static_cast<uint32_t>(kBytes));
  put(bytes, 16, file_bytes);
  put(bytes, 24, metadata_bytes);
  put(bytes, 32, table_offset);
  put(bytes, 40, weights_offset);
  put(bytes, 48, weights_bytes);
  put(bytes, 56, chunk_bytes);
  put(bytes, 64, front_checksum);
  put(bytes, kChecksumOffset, hash_bytes(std::span<const std::byte>(bytes).first(kChecksumOffset)));
  return bytes;
}

EngineHeader EngineHeader::decode(std::span<const std::byte> bytes, uint64_t file_bytes,
                                  const std::string& file) {
  check_start(bytes, file);
  if (take<uint64_t>(bytes, kChecksumOffset) != hash_bytes(bytes.first(kChecksumOffset)) ||
      take<uint32_t>(bytes, 12) != kBytes) {
    damaged(file, "the checksum of its header is wrong");
  }
  EngineHeader header;
  header.version = take<uint32_t>(bytes, 8);
  header.file_bytes = take<uint64_t>(bytes, 16);
  header.metadata_bytes = take<uint64_t>(bytes, 24);
  header.table_offset = take<uint64_t>(bytes, 32);
  header.weights_offset = take<uint64_t>(bytes, 40);
  header.weights_bytes = take<uint64_t>(bytes, 48);
  header.chunk_bytes = take<uint64_t>(bytes, 56);
  header.front_checksum = take<uint64_t>(bytes, 64);
  const bool chunk_valid = std::has_single_bit(header.chunk_bytes) && header.chunk_bytes >= 4096 &&
                           header.chunk_bytes <= (1u << 30);
  if (!chunk_valid || header.metadata_bytes > kMetadataLimit || header.weights_bytes > kSizeLimit) {
    damaged(file, "the sizes in its header are not possible");
  }
  const EngineHeader expected =
      lay_out(header.metadata_bytes, header.weights_bytes, header.chunk_bytes);
  if (header.table_offset != expected.table_offset ||
      header.weights_offset != expected.weights_offset ||
      header.file_bytes != expected.file_bytes) {
    damaged(file, "the offsets in its header do not agree");
  }
  if (header.file_bytes != file_bytes) {
    damaged(file, "it has " + std::to_string(file_bytes) + " bytes, " +
                      std::to_string(header.file_bytes) + " were written");
  }
  return header;
}

}  // namespace cleave::program
