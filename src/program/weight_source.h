// WeightSource: where the bytes of an engine's weights come from, its file or, before it has one,
// the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace cleave::program {

// The most bytes that are read at once, where the source can.
inline constexpr uint64_t kPieceBytes = uint64_t{16} << 20;

// Receives bytes in order, piece by piece.
using ByteSink = std::function<void(std::span<const std::byte>)>;

// Weights that are noise have no bytes here. Safe to use from several threads at once.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The sizes of the pieces, one behind the other, that what `rank` holds of `weight` is read in.
  virtual std::vector<uint64_t> pieces(size_t weight, int64_t rank) const = 0;
  // Fills `into` with the piece of this number; it has its size. Error(kInvalid) where it cannot be
  // read or is damaged.
  virtual void read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const = 0;

  // All pieces in order.
  void stream(size_t weight, int64_t rank, const ByteSink& sink) const;

  // Checks whatever nobody has read yet; the work is dealt out in `shares`. Nothing to do for
  // sources that are not files.
  virtual void verify_unread(int64_t share, int64_t shares) const;
};

}  // namespace cleave::program
