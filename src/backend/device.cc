#include "backend/device.h"

#include "base/thread_pool.h"

namespace cleave::backend {

// Without memory to stage in that the device could read while the host goes on: one by one.
void Device::upload(std::span<const HostPiece> pieces, const FillPiece& fill, StreamHandle stream) {
  if (memory_is_host()) {
    pool().parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const HostPiece& piece = pieces[static_cast<size_t>(i)];
      fill(static_cast<size_t>(i),
           {static_cast<std::byte*>(piece.to), static_cast<size_t>(piece.bytes)});
    });
    return;
  }
  std::vector<std::byte> staged;
  for (size_t i = 0; i < pieces.size(); ++i) {
    staged.resize(static_cast<size_t>(pieces[i].bytes));
    fill(i, staged);
    copy_to_device(pieces[i].to, staged.data(), pieces[i].bytes, stream);
    synchronize(stream);
  }
}

void Device::download(std::span<const DevicePiece> pieces, const ReadPiece& read,
                      StreamHandle stream) {
  synchronize(stream);
  if (memory_is_host()) {
    pool().parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const DevicePiece& piece = pieces[static_cast<size_t>(i)];
      read(static_cast<size_t>(i),
           {static_cast<const std::byte*>(piece.from), static_cast<size_t>(piece.bytes)});
    });
    return;
  }
  std::vector<std::byte> staged;
  for (size_t i = 0; i < pieces.size(); ++i) {
    staged.resize(static_cast<size_t>(pieces[i].bytes));
    copy_to_host(staged.data(), pieces[i].from, pieces[i].bytes, stream);
    synchronize(stream);
    read(i, staged);
  }
}

}  // namespace cleave::backend
