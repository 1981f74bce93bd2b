#include "backend/device.h"

#include "base/thread_pool.h"

namespace cleave::backend {
namespace {

// Where the host's memory is the device's, calls `in_place(piece)` by all threads; else, without
// memory that the device could use while the host goes on, `staged(piece, memory)` one by one, with
// memory of the host of the piece's size.
template <class Piece, class InPlace, class Staged>
void for_each_piece(Device& device, std::span<const Piece> pieces, const InPlace& in_place,
                    const Staged& staged) {
  if (device.memory_is_host()) {
    device.pool().parallel_for(static_cast<int64_t>(pieces.size()),
                               [&](int64_t i) { in_place(static_cast<size_t>(i)); });
    return;
  }
  std::vector<std::byte> memory;
  for (size_t i = 0; i < pieces.size(); ++i) {
    memory.resize(static_cast<size_t>(pieces[i].bytes));
    staged(i, std::span(memory));
  }
}

template <class Byte, class Data>
std::span<Byte> bytes_at(Data* data, int64_t bytes) {
  return {static_cast<Byte*>(data), static_cast<size_t>(bytes)};
}

}  // namespace

void Device::upload(std::span<const HostPiece> pieces, const FillPiece& fill, StreamHandle stream) {
  for_each_piece(
      *this, pieces, [&](size_t i) { fill(i, bytes_at<std::byte>(pieces[i].to, pieces[i].bytes)); },
      [&](size_t i, std::span<std::byte> memory) {
        fill(i, memory);
        copy_to_device(pieces[i].to, memory.data(), pieces[i].bytes, stream);
        synchronize(stream);
      });
}

void Device::download(std::span<const DevicePiece> pieces, const ReadPiece& read,
                      StreamHandle stream) {
  synchronize(stream);
  for_each_piece(
      *this, pieces,
      [&](size_t i) { read(i, bytes_at<const std::byte>(pieces[i].from, pieces[i].bytes)); },
      [&](size_t i, std::span<std::byte> memory) {
        copy_to_host(memory.data(), pieces[i].from, pieces[i].bytes, stream);
        synchronize(stream);
        read(i, memory);
      });
}

}  // namespace cleave::backend
