// The engine file: header, metadata, checksums and weights of one engine. Data only.
//
//   offset 0        header (EngineHeader, 128 bytes, little-endian)
//   128             metadata: a protobuf message (engine.proto)
//   table_offset    one checksum (XXH3, 64 bits) for each chunk of the weight section
//   weights_offset  weight section: slices at multiples of 64, in chunks of `chunk_bytes`
//
// What lies between these is zero. Every byte is under a checksum: the header's own, one over
// everything between header and weight section, and one a chunk. A file is written under another
// name and renamed, so there are no half-written engines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/file.h"
#include "program/program.h"
#include "program/weight_source.h"

namespace cleave::program {

inline constexpr uint32_t kEngineVersion = 1;
inline constexpr uint64_t kChunkBytes = uint64_t{16} << 20;

struct WriteOptions {
  uint64_t chunk_bytes = kChunkBytes;  // a power of two, 4 KiB to 1 GiB
  // Called after each chunk of weights with the bytes that are written, of how many; may be empty.
  std::function<void(uint64_t, uint64_t)> progress;
};

// Writes the engine; `data` has its weights laid out (weight_layout.h) and is validated first. Each
// distinct slice is streamed once from `weights`; memory stays under two chunks beyond that. Equal
// input gives equal bytes. Error(kInvalid) where the file cannot be written or a weight not read.
void write_engine_file(const std::filesystem::path& path, const EngineData& data,
                       const WeightSource& weights, const WriteOptions& options = {});

struct OpenEngine {
  EngineData data;
  // Reads the weight section; checks each chunk when it is first read.
  std::shared_ptr<const WeightSource> weights;
};

// Opens and validates everything but the weight section's bytes. Error(kInvalid) with a hint for
// whatever is wrong: not an engine, of another version, cut short, damaged, inconsistent.
OpenEngine open_engine_file(const std::filesystem::path& path);
OpenEngine open_engine(std::shared_ptr<const ByteSource> source);

// Reads and verifies every byte.
void check_engine_file(const std::filesystem::path& path);
void check_engine(std::shared_ptr<const ByteSource> source);

}  // namespace cleave::program
