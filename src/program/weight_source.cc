#include "program/weight_source.h"

#include <cstring>

#include "base/check.h"

namespace cleave::program {

void WeightSource::read(size_t weight, int64_t rank, std::span<std::byte> into,
                        const ParallelFor& /*parallel*/) const {
  size_t done = 0;
  stream(weight, rank, [&](std::span<const std::byte> piece) {
    CLEAVE_CHECK(piece.size() <= into.size() - done, "a weight's source gives too many bytes");
    if (!piece.empty()) std::memcpy(into.data() + done, piece.data(), piece.size());
    done += piece.size();
  });
  CLEAVE_CHECK(done == into.size(), "a weight's source gives too few bytes");
}

void WeightSource::verify_unread(int64_t /*share*/, int64_t /*shares*/) const {}

}  // namespace cleave::program
