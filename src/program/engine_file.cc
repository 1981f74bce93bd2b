#include "program/engine_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/hash.h"
#include "program/engine_header.h"
#include "program/file_weights.h"
#include "program/metadata.h"
#include "program/validate.h"
#include "program/weight_layout.h"

namespace cleave::program {
namespace {

// Collects the weight section chunk by chunk: writes and checksums each once it is full.
class ChunkWriter {
 public:
  ChunkWriter(FileWriter& file, const EngineHeader& header, const WriteOptions& options)
      : file_(file), header_(header), options_(options) {
    chunk_.reserve(std::min(header.chunk_bytes, header.weights_bytes));
  }

  uint64_t position() const { return position_; }

  void append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const size_t room = header_.chunk_bytes - chunk_.size();
      const auto piece = bytes.first(std::min(room, bytes.size()));
      chunk_.insert(chunk_.end(), piece.begin(), piece.end());
      bytes = bytes.subspan(piece.size());
      position_ += piece.size();
      if (chunk_.size() == header_.chunk_bytes) flush();
    }
  }
  void append_zeros_until(uint64_t position) {
    static constexpr std::byte kZeros[4096] = {};
    while (position_ < position) {
      append(std::span(kZeros).first(std::min<uint64_t>(sizeof kZeros, position - position_)));
    }
  }
  // The checksums of all chunks.
  std::vector<uint64_t> finish() {
    append_zeros_until(header_.weights_bytes);
    if (!chunk_.empty()) flush();
    return std::move(checksums_);
  }

 private:
  void flush() {
    checksums_.push_back(hash_bytes(chunk_));
    file_.write_at(header_.weights_offset + position_ - chunk_.size(), chunk_);
    chunk_.clear();
    if (options_.progress) options_.progress(position_, header_.weights_bytes);
  }

  FileWriter& file_;
  const EngineHeader& header_;
  const WriteOptions& options_;
  std::vector<std::byte> chunk_;
  std::vector<uint64_t> checksums_;
  uint64_t position_ = 0;
};

std::vector<uint64_t> write_weights(FileWriter& file, const EngineHeader& header,
                                    const EngineData& data, const WeightSource& weights,
                                    const WriteOptions& options) {
  ChunkWriter writer(file, header, options);
  for (const StoredSlice& stored : stored_slices(data)) {
    writer.append_zeros_until(stored.slice.offset);
    uint64_t done = 0;
    weights.stream(stored.weight, stored.rank, [&](std::span<const std::byte> bytes) {
      done += bytes.size();
      CLEAVE_CHECK(done <= stored.slice.bytes, "a weight's source gives too many bytes");
      writer.append(bytes);
    });
    CLEAVE_CHECK(done == stored.slice.bytes, "a weight's source gives too few bytes");
  }
  return writer.finish();
}

}  // namespace

void write_engine_file(const std::filesystem::path& path, const EngineData& data,
                       const WeightSource& weights, const WriteOptions& options) {
  const uint64_t weights_bytes =
      (weights_end(data) + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
  validate(data, weights_bytes);
  const std::string metadata = encode_metadata(data);
  EngineHeader header = EngineHeader::lay_out(metadata.size(), weights_bytes, options.chunk_bytes);

  FileWriter file(path);
  const std::vector<uint64_t> checksums = write_weights(file, header, data, weights, options);
  CLEAVE_CHECK(checksums.size() == header.chunks(), "a chunk was not written");
  std::vector<std::byte> front(header.weights_offset);
  std::memcpy(front.data() + EngineHeader::kBytes, metadata.data(), metadata.size());
  if (!checksums.empty()) {
    std::memcpy(front.data() + header.table_offset, checksums.data(), 8 * checksums.size());
  }
  header.front_checksum =
      hash_bytes(std::span<const std::byte>(front).subspan(EngineHeader::kBytes));
  const auto encoded = header.encode();
  std::memcpy(front.data(), encoded.data(), encoded.size());
  file.write_at(0, front);
  file.commit();
}

OpenEngine open_engine(std::shared_ptr<const ByteSource> source) {
  std::vector<std::byte> start(std::min<uint64_t>(source->size(), EngineHeader::kBytes));
  source->read(0, start);
  const EngineHeader header = EngineHeader::decode(start, source->size(), source->name());

  // The header agrees with the file's size, so this allocates no more than the file holds.
  std::vector<std::byte> front(header.weights_offset - EngineHeader::kBytes);
  source->read(EngineHeader::kBytes, front);
  if (hash_bytes(front) != header.front_checksum) {
    throw Error(ErrorCode::kInvalid, "the engine is damaged: the checksum of its metadata is wrong",
                "build it again, or copy it again from where it is whole")
        .at(source->name());
  }
  OpenEngine engine;
  try {
    engine.data = decode_metadata(
        {reinterpret_cast<const char*>(front.data()), static_cast<size_t>(header.metadata_bytes)});
    validate(engine.data, header.weights_bytes);
  } catch (Error& error) {
    error.at(source->name());
    if (error.hint().empty()) error.with_hint("build the engine again");
    throw;
  }
  std::vector<uint64_t> checksums(header.chunks());
  if (!checksums.empty()) {
    std::memcpy(checksums.data(), front.data() + (header.table_offset - EngineHeader::kBytes),
                8 * checksums.size());
  }
  std::vector<std::vector<WeightSlice>> slices;
  for (const Weight& weight : engine.data.weights) slices.push_back(weight.slices);
  engine.weights =
      std::make_shared<FileWeights>(std::move(source), header.weights_offset, header.weights_bytes,
                                    header.chunk_bytes, std::move(checksums), std::move(slices));
  return engine;
}

OpenEngine open_engine_file(const std::filesystem::path& path) {
  return open_engine(open_file(path));
}

void check_engine(std::shared_ptr<const ByteSource> source) {
  open_engine(std::move(source)).weights->verify_unread(0, 1);
}

void check_engine_file(const std::filesystem::path& path) { check_engine(open_file(path)); }

}  // namespace cleave::program
