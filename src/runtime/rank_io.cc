#include "runtime/rank_io.h"

#include <algorithm>
#include <cstring>

#include "backend/host_memory.h"

namespace cleave::runtime {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kPage = 4096;
// What is larger is copied by several threads, in pieces, unless the device does without them.
constexpr int64_t kLarge = int64_t{1} << 20;
constexpr int64_t kPiece = int64_t{2} << 20;

int64_t round_up(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// One place for each tensor that needs one, behind each other.
std::vector<std::byte*> places(GrowingBuffer& memory, backend::Device& device,
                               std::span<const HostTensor> tensors, const std::vector<bool>& needed,
                               std::string_view what) {
  int64_t total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) total += needed[i] ? round_up(tensors[i].bytes) : 0;
  std::byte* at = memory.at_least(device, total, what);
  std::vector<std::byte*> result;
  for (size_t i = 0; i < tensors.size(); ++i) {
    result.push_back(needed[i] ? at : nullptr);
    if (needed[i] && at != nullptr) at += round_up(tensors[i].bytes);
  }
  return result;
}

// Calls `add(offset, bytes)` for each piece of a tensor.
template <class Add>
void for_pieces(int64_t bytes, const Add& add) {
  for (int64_t at = 0; at < bytes; at += kPiece) add(at, std::min(kPiece, bytes - at));
}

bool is_copied_at_once(const HostTensor& tensor, const backend::HostMemory* in_place) {
  return tensor.part.bytes() <= kLarge ||
         (in_place != nullptr && in_place->owns(tensor.data, static_cast<size_t>(tensor.bytes)));
}

void copy_in_pieces(backend::Device& device, std::byte* to, const std::byte* from, int64_t bytes,
                    StreamHandle stream) {
  std::vector<backend::HostPiece> pieces;
  for_pieces(bytes, [&](int64_t at, int64_t each) { pieces.push_back({to + at, each}); });
  const auto fill = [&](size_t piece, std::span<std::byte> into) {
    std::memcpy(into.data(), from + static_cast<int64_t>(piece) * kPiece, into.size());
  };
  device.upload(pieces, fill, stream);
}

void copy_out_pieces(backend::Device& device, std::byte* to, const std::byte* from, int64_t bytes,
                     StreamHandle stream) {
  std::vector<backend::DevicePiece> pieces;
  for_pieces(bytes, [&](int64_t at, int64_t each) { pieces.push_back({from + at, each}); });
  const auto read = [&](size_t piece, std::span<const std::byte> made) {
    std::memcpy(to + static_cast<int64_t>(piece) * kPiece, made.data(), made.size());
  };
  device.download(pieces, read, stream);
}

}  // namespace

ByteRange share_of_result(int64_t bytes, int rank, int ranks) {
  if (bytes <= kLarge) return rank == 0 ? ByteRange{0, bytes} : ByteRange{};
  const auto bound = [&](int64_t r) {
    return r == ranks ? bytes : bytes / ranks * r / kPage * kPage;
  };
  return {bound(rank), bound(rank + 1)};
}

std::byte* GrowingBuffer::at_least(backend::Device& device, int64_t bytes, std::string_view what) {
  if (buffer_.bytes() < bytes) {
    buffer_ = {};  // first, so that both need not fit
    buffer_ = device.allocate(bytes, what);
  }
  return buffer_.data();
}

void RankIo::begin(backend::Device& device, std::span<const HostTensor> inputs,
                   std::span<const HostTensor> outputs, StreamHandle stream) {
  const bool host = device.memory_is_host();
  const auto in_place = device.host_memory();
  const auto copied_in =
      places(input_memory_, device, inputs, std::vector<bool>(inputs.size(), !host), "inputs");
  inputs_.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs_.push_back(host ? inputs[i].data : copied_in[i]);
    const ByteRange& part = inputs[i].part;
    if (host || part.bytes() == 0) continue;
    std::byte* const to = copied_in[i] + part.begin;
    const std::byte* const from = inputs[i].data + part.begin;
    if (is_copied_at_once(inputs[i], in_place.get())) {
      device.copy_to_device(to, from, part.bytes(), stream);
    } else {
      copy_in_pieces(device, to, from, part.bytes(), stream);
    }
  }
  wanted_.assign(outputs.begin(), outputs.end());
  at_once_.clear();
  for (const HostTensor& output : outputs) {
    at_once_.push_back(is_copied_at_once(output, in_place.get()));
  }
  std::vector<bool> own(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) own[i] = !host || outputs[i].data == nullptr;
  outputs_ = places(output_memory_, device, outputs, own, "outputs");
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!own[i]) outputs_[i] = outputs[i].data;
  }
}

void RankIo::end(backend::Device& device, StreamHandle stream) {
  for (size_t i = 0; i < wanted_.size(); ++i) {
    if (!is_copied(i) || !at_once_[i]) continue;
    const ByteRange& part = wanted_[i].part;
    device.copy_to_host(wanted_[i].data + part.begin, outputs_[i] + part.begin, part.bytes(),
                        stream);
  }
}

void RankIo::finish(backend::Device& device, StreamHandle stream) {
  for (size_t i = 0; i < wanted_.size(); ++i) {
    if (!is_copied(i) || at_once_[i]) continue;
    const ByteRange& part = wanted_[i].part;
    copy_out_pieces(device, wanted_[i].data + part.begin, outputs_[i] + part.begin, part.bytes(),
                    stream);
  }
}

}  // namespace cleave::runtime
