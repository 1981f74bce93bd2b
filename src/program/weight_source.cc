#include "program/weight_source.h"

namespace cleave::program {

void WeightSource::stream(size_t weight, int64_t rank, const ByteSink& sink) const {
  std::vector<std::byte> buffer;
  const std::vector<uint64_t> sizes = pieces(weight, rank);
  for (size_t piece = 0; piece < sizes.size(); ++piece) {
    buffer.resize(sizes[piece]);
    read(weight, rank, piece, buffer);
    sink(buffer);
  }
}

void WeightSource::verify_unread(int64_t /*share*/, int64_t /*shares*/) const {}

}  // namespace cleave::program
