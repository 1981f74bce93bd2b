// The weight section of an engine file as a source of weights.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/file.h"
#include "program/program.h"
#include "program/weight_source.h"

namespace cleave::program {

// A chunk is checked when it is first read, by whoever reads it, as it is read; the bytes that are
// handed out are those that were checked. Later reads take only the bytes they need. Threads that
// come to an unchecked chunk at once may each check it.
class FileWeights final : public WeightSource {
 public:
  // `checksums` are those of the chunks of the section, which lies at `begin` of `source` and has
  // `bytes` bytes; slices lie inside (validated).
  FileWeights(std::shared_ptr<const ByteSource> source, uint64_t begin, uint64_t bytes,
              uint64_t chunk_bytes, std::vector<uint64_t> checksums,
              std::vector<std::vector<WeightSlice>> slices);

  // The parts of a slice that lie in one chunk each.
  std::vector<uint64_t> pieces(size_t weight, int64_t rank) const override;
  void read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const override;
  void verify_unread(int64_t share, int64_t shares) const override;

 private:
  const WeightSlice& slice(size_t weight, int64_t rank) const;
  uint64_t chunk_size(uint64_t chunk) const;
  // Reads the chunk block by block, each hashed while it is in a cache, and gives `into` what lies
  // `offset` bytes into the chunk. Error(kInvalid) where the checksum is another.
  void read_and_verify(uint64_t chunk, uint64_t offset, std::span<std::byte> into) const;

  std::shared_ptr<const ByteSource> source_;
  uint64_t begin_;
  uint64_t bytes_;
  uint64_t chunk_bytes_;
  std::vector<uint64_t> checksums_;
  std::vector<std::vector<WeightSlice>> slices_;  // by weight and rank
  mutable std::vector<std::atomic<bool>> verified_;
};

}  // namespace cleave::program
