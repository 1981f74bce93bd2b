// The weight section of an engine file as a source of weights.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/file.h"
#include "program/program.h"
#include "program/weight_source.h"

namespace cleave::program {

// A chunk is checked when it is first read, by whoever reads it; the bytes that are handed out are
// those that were checked. Later reads take only the bytes they need. Threads that come to an
// unchecked chunk at once may each check it.
class FileWeights final : public WeightSource {
 public:
  // `checksums` are those of the chunks of the section, which lies at `begin` of `source` and has
  // `bytes` bytes; slices lie inside (validated).
  FileWeights(std::shared_ptr<const ByteSource> source, uint64_t begin, uint64_t bytes,
              uint64_t chunk_bytes, std::vector<uint64_t> checksums,
              std::vector<std::vector<WeightSlice>> slices);

  void stream(size_t weight, int64_t rank, const ByteSink& sink) const override;
  void read(size_t weight, int64_t rank, std::span<std::byte> into,
            const ParallelFor& parallel) const override;
  void verify_unread(int64_t share, int64_t shares) const override;

 private:
  // A part of a slice that lies in one chunk.
  struct Part {
    uint64_t chunk = 0;
    uint64_t offset = 0;  // in the section
    uint64_t bytes = 0;
  };
  std::vector<Part> parts_of(const WeightSlice& slice) const;
  const WeightSlice& slice(size_t weight, int64_t rank) const;
  uint64_t chunk_size(uint64_t chunk) const;
  void read_part(const Part& part, std::span<std::byte> into,
                 std::vector<std::byte>& scratch) const;
  void verify(uint64_t chunk, std::span<const std::byte> bytes) const;

  std::shared_ptr<const ByteSource> source_;
  uint64_t begin_;
  uint64_t bytes_;
  uint64_t chunk_bytes_;
  std::vector<uint64_t> checksums_;
  std::vector<std::vector<WeightSlice>> slices_;  // by weight and rank
  mutable std::vector<std::atomic<bool>> verified_;
};

}  // namespace cleave::program
