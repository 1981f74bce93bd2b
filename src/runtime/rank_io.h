// Where one rank finds a run's inputs and puts its results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/device.h"
#include "runtime/located.h"

namespace cleave::runtime {

// A buffer of a rank that grows when more is asked for. Used by the rank's thread.
class GrowingBuffer {
 public:
  std::byte* at_least(backend::Device& device, int64_t bytes, std::string_view what);

 private:
  backend::Buffer buffer_;
};

// A tensor of the run in the host's memory; null data: nobody wants it.
struct HostTensor {
  std::byte* data = nullptr;
  int64_t bytes = 0;
  ByteRange part;  // of it that a rank copies, where its memory is not the host's

  static HostTensor whole(std::byte* data, int64_t bytes) { return {data, bytes, {0, bytes}}; }
};

// What of a result each of the ranks copies that all have it: equal parts of a large one, and all
// of a small one the first.
ByteRange share_of_result(int64_t bytes, int rank, int ranks);

// Where the host's memory is the device's, a run reads and writes the host's tensors themselves.
// Elsewhere they are copied to and from buffers that stay where they are while sizes do not grow.
// Used by the rank's thread.
class RankIo {
 public:
  // Puts the copies of `inputs` on the stream; they must stay until the stream has been waited for.
  void begin(backend::Device& device, std::span<const HostTensor> inputs,
             std::span<const HostTensor> outputs, StreamHandle stream);
  // Puts the copies of small results on the stream, and of those that are copied in place.
  void end(backend::Device& device, StreamHandle stream);
  // Copies the other large ones, when the stream has been waited for.
  void finish(backend::Device& device, StreamHandle stream);

  std::span<const std::byte* const> inputs() const { return inputs_; }
  std::span<std::byte* const> outputs() const { return outputs_; }

 private:
  bool is_copied(size_t output) const {
    const HostTensor& wanted = wanted_[output];
    return wanted.data != nullptr && wanted.data != outputs_[output] && wanted.part.bytes() > 0;
  }

  GrowingBuffer input_memory_;
  GrowingBuffer output_memory_;
  std::vector<HostTensor> wanted_;
  std::vector<bool> at_once_;  // which of those: not by several threads
  std::vector<const std::byte*> inputs_;
  std::vector<std::byte*> outputs_;
};

}  // namespace cleave::runtime
