#include "ops/collectives/reference.h"

#include <cstring>

#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

// Copies between the whole tensor and one rank's part of it, piece by piece: into whichever of the
// two is not const.
template <class Whole, class Part>
void copy_pieces(Whole& whole, Part& part, size_t axis, const layout::Cut& cut, int64_t rank,
                 int64_t ranks) {
  const AxisView view(whole.shape, axis);
  const AxisView local(part.shape, axis);
  const size_t element = static_cast<size_t>(view.inner) * size_of(whole.dtype);
  int64_t at = 0;
  for (const layout::Piece& piece : cut.pieces(rank, ranks)) {
    const int64_t begin = piece.begin.constant();
    const int64_t extent = piece.extent.constant();
    const size_t bytes = static_cast<size_t>(extent) * element;
    CLEAVE_CHECK(extent >= 0 && begin + extent <= view.extent && at + extent <= local.extent,
                 "a piece outside its tensor");
    for (int64_t o = 0; o < view.outer && bytes > 0; ++o) {
      auto* outside = whole.bytes.data() + static_cast<size_t>(o * view.extent + begin) * element;
      auto* inside = part.bytes.data() + static_cast<size_t>(o * local.extent + at) * element;
      if constexpr (std::is_const_v<Whole>) {
        std::memcpy(inside, outside, bytes);
      } else {
        std::memcpy(outside, inside, bytes);
      }
    }
    at += extent;
  }
  CLEAVE_CHECK(at == local.extent, "a rank's part has not the size of its pieces");
}

}  // namespace

HostTensor reference_shard(const HostTensor& whole, size_t axis, const layout::Cut& cut,
                           int64_t rank, int64_t ranks) {
  std::vector<int64_t> shape = whole.shape;
  shape.at(axis) = cut.local_extent(rank, ranks).constant();
  HostTensor part(whole.dtype, std::move(shape));
  copy_pieces(whole, part, axis, cut, rank, ranks);
  return part;
}

std::vector<HostTensor> reference_shards(const HostTensor& whole, size_t axis,
                                         const layout::Cut& cut, int64_t ranks) {
  std::vector<HostTensor> shards;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    shards.push_back(reference_shard(whole, axis, cut, rank, ranks));
  }
  return shards;
}

HostTensor reference_gather_shards(ByRank parts, size_t axis, const layout::Cut& cut) {
  std::vector<int64_t> shape = parts[0]->shape;
  shape.at(axis) = cut.extent().constant();
  HostTensor whole(parts[0]->dtype, std::move(shape));
  const auto ranks = static_cast<int64_t>(parts.size());
  // Downwards, so that what several ranks hold ends as the lowest one's.
  for (int64_t rank = ranks; rank-- > 0;) {
    copy_pieces(whole, *parts[static_cast<size_t>(rank)], axis, cut, rank, ranks);
  }
  return whole;
}

HostTensor reference_reduce_terms(ByRank terms, ReduceOp op) {
  HostTensor result = *terms[0];
  for (const HostTensor* term : terms) {
    CLEAVE_CHECK(term->dtype == result.dtype && term->shape == result.shape,
                 "the terms of a reduction have different types");
  }
  dispatch_dtype(result.dtype, [&]<class T>() {
    const auto out = result.data<T>();
    for (size_t i = 0; i < out.size(); ++i) {
      auto sum = widened<Term<T>>(terms[0]->data<T>()[i]);
      for (size_t rank = 1; rank < terms.size(); ++rank) {
        sum = combine<Term<T>>(op, sum, widened<Term<T>>(terms[rank]->data<T>()[i]));
      }
      out[i] = narrowed<T>(sum);
    }
  });
  return result;
}

}  // namespace cleave::ops
