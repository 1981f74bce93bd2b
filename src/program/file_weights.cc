#include "program/file_weights.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"

namespace cleave::program {

FileWeights::FileWeights(std::shared_ptr<const ByteSource> source, uint64_t begin, uint64_t bytes,
                         uint64_t chunk_bytes, std::vector<uint64_t> checksums,
                         std::vector<std::vector<WeightSlice>> slices)
    : source_(std::move(source)),
      begin_(begin),
      bytes_(bytes),
      chunk_bytes_(chunk_bytes),
      checksums_(std::move(checksums)),
      slices_(std::move(slices)),
      verified_(checksums_.size()) {}

const WeightSlice& FileWeights::slice(size_t weight, int64_t rank) const {
  CLEAVE_CHECK(
      weight < slices_.size() && rank >= 0 && static_cast<size_t>(rank) < slices_[weight].size(),
      "there is no such slice of a weight");
  return slices_[weight][static_cast<size_t>(rank)];
}

uint64_t FileWeights::chunk_size(uint64_t chunk) const {
  return std::min(chunk_bytes_, bytes_ - chunk * chunk_bytes_);
}

std::vector<FileWeights::Part> FileWeights::parts_of(const WeightSlice& slice) const {
  std::vector<Part> parts;
  const uint64_t end = slice.offset + slice.bytes;
  for (uint64_t at = slice.offset; at < end;) {
    const uint64_t chunk = at / chunk_bytes_;
    const uint64_t until = std::min(end, (chunk + 1) * chunk_bytes_);
    parts.push_back({chunk, at, until - at});
    at = until;
  }
  return parts;
}

void FileWeights::verify(uint64_t chunk, std::span<const std::byte> bytes) const {
  if (hash_bytes(bytes) != checksums_[chunk]) {
    throw Error(ErrorCode::kInvalid,
                "the engine is damaged: the checksum of its weights is wrong in chunk " +
                    std::to_string(chunk),
                "build it again, or copy it again from where it is whole")
        .at(source_->name());
  }
  verified_[chunk].store(true, std::memory_order_relaxed);
}

void FileWeights::read_part(const Part& part, std::span<std::byte> into,
                            std::vector<std::byte>& scratch) const {
  if (verified_[part.chunk].load(std::memory_order_relaxed)) {
    source_->read(begin_ + part.offset, into);
    return;
  }
  const uint64_t size = chunk_size(part.chunk);
  const uint64_t chunk_begin = part.chunk * chunk_bytes_;
  if (part.bytes == size) {  // the whole chunk: checked where it is wanted
    source_->read(begin_ + chunk_begin, into);
    verify(part.chunk, into);
    return;
  }
  scratch.resize(size);
  source_->read(begin_ + chunk_begin, scratch);
  verify(part.chunk, scratch);
  std::memcpy(into.data(), scratch.data() + (part.offset - chunk_begin), part.bytes);
}

void FileWeights::stream(size_t weight, int64_t rank, const ByteSink& sink) const {
  std::vector<std::byte> piece;
  std::vector<std::byte> scratch;
  for (const Part& part : parts_of(slice(weight, rank))) {
    piece.resize(part.bytes);
    read_part(part, piece, scratch);
    sink(piece);
  }
}

void FileWeights::read(size_t weight, int64_t rank, std::span<std::byte> into,
                       const ParallelFor& parallel) const {
  const WeightSlice& wanted = slice(weight, rank);
  CLEAVE_CHECK(into.size() == wanted.bytes, "a weight is read into memory of another size");
  const std::vector<Part> parts = parts_of(wanted);
  parallel(static_cast<int64_t>(parts.size()), [&](int64_t i) {
    const Part& part = parts[static_cast<size_t>(i)];
    std::vector<std::byte> scratch;
    read_part(part, into.subspan(part.offset - wanted.offset, part.bytes), scratch);
  });
}

void FileWeights::verify_unread(int64_t share, int64_t shares) const {
  std::vector<std::byte> scratch;
  for (auto chunk = static_cast<uint64_t>(share); chunk < checksums_.size();
       chunk += static_cast<uint64_t>(shares)) {
    if (verified_[chunk].load(std::memory_order_relaxed)) continue;
    scratch.resize(chunk_size(chunk));
    source_->read(begin_ + chunk * chunk_bytes_, scratch);
    verify(chunk, scratch);
  }
}

}  // namespace cleave::program
