// WeightSource: where the bytes of an engine's weights come from, its file or, before it has one,
// the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace cleave::program {

// Receives bytes in order, piece by piece.
using ByteSink = std::function<void(std::span<const std::byte>)>;
// Calls body(0) ... body(count - 1), on several threads or not.
using ParallelFor = std::function<void(int64_t count, const std::function<void(int64_t)>& body)>;

// Safe to use from several threads at once.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // Gives the bytes that `rank` holds of weight `weight` to `sink`, in order, in pieces of at most
  // 64 MiB where the source can. Error(kInvalid) where they cannot be read or are damaged.
  virtual void stream(size_t weight, int64_t rank, const ByteSink& sink) const = 0;

  // The same into memory of exactly the slice's size. By default through `stream`.
  virtual void read(size_t weight, int64_t rank, std::span<std::byte> into,
                    const ParallelFor& parallel) const;

  // Checks whatever nobody has read yet; the work is dealt out in `shares`. Nothing to do for
  // sources that are not files.
  virtual void verify_unread(int64_t share, int64_t shares) const;
};

}  // namespace cleave::program
