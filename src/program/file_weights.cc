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

std::vector<uint64_t> FileWeights::pieces(size_t weight, int64_t rank) const {
  const WeightSlice& wanted = slice(weight, rank);
  const uint64_t end = wanted.offset + wanted.bytes;
  std::vector<uint64_t> sizes;
  for (uint64_t at = wanted.offset; at < end;) {
    const uint64_t until = std::min(end, (at / chunk_bytes_ + 1) * chunk_bytes_);
    sizes.push_back(until - at);
    at = until;
  }
  return sizes;
}

void FileWeights::read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const {
  const WeightSlice& wanted = slice(weight, rank);
  const uint64_t chunk = wanted.offset / chunk_bytes_ + piece;
  const uint64_t begin = std::max(wanted.offset, chunk * chunk_bytes_);
  const uint64_t end = std::min(wanted.offset + wanted.bytes, (chunk + 1) * chunk_bytes_);
  CLEAVE_CHECK(begin + into.size() == end,
               "a piece of a weight is read into memory of another size");
  if (verified_[chunk].load(std::memory_order_relaxed)) {
    source_->read(begin_ + begin, into);
  } else {
    read_and_verify(chunk, begin - chunk * chunk_bytes_, into);
  }
}

void FileWeights::read_and_verify(uint64_t chunk, uint64_t offset,
                                  std::span<std::byte> into) const {
  // Of a core's cache a part.
  constexpr uint64_t kBlock = uint64_t{256} << 10;
  const uint64_t size = chunk_size(chunk);
  const uint64_t end = offset + into.size();
  std::vector<std::byte> scratch;
  Hasher hasher;
  for (uint64_t at = 0; at < size; at += kBlock) {
    const uint64_t until = std::min(size, at + kBlock);
    const uint64_t low = std::clamp(offset, at, until);
    const uint64_t high = std::clamp(end, at, until);
    std::span<std::byte> block;
    if (low == at && high == until) {
      block = into.subspan(at - offset, until - at);
    } else {
      scratch.resize(until - at);
      block = scratch;
    }
    source_->read(begin_ + chunk * chunk_bytes_ + at, block);
    hasher.add(block);
    if (block.data() == scratch.data() && low < high) {
      std::memcpy(into.data() + (low - offset), scratch.data() + (low - at), high - low);
    }
  }
  if (hasher.value() != checksums_[chunk]) {
    throw Error(ErrorCode::kInvalid,
                "the engine is damaged: the checksum of its weights is wrong in chunk " +
                    std::to_string(chunk),
                "build it again, or copy it again from where it is whole")
        .at(source_->name());
  }
  verified_[chunk].store(true, std::memory_order_relaxed);
}

void FileWeights::verify_unread(int64_t share, int64_t shares) const {
  for (auto chunk = static_cast<uint64_t>(share); chunk < checksums_.size();
       chunk += static_cast<uint64_t>(shares)) {
    if (!verified_[chunk].load(std::memory_order_relaxed)) read_and_verify(chunk, 0, {});
  }
}

}  // namespace cleave::program
