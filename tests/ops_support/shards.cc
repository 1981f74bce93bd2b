#include "tests/ops_support/shards.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/check.h"

namespace cleave::testing {
namespace {

// A tensor seen as [outer, dimension, inner bytes].
struct Rows {
  int64_t outer = 1;
  int64_t inner_bytes = 1;
};

Rows rows_around(const std::vector<int64_t>& shape, size_t dim, DType dtype) {
  Rows rows;
  for (size_t d = 0; d < dim; ++d) rows.outer *= shape[d];
  rows.inner_bytes = static_cast<int64_t>(size_of(dtype));
  for (size_t d = dim + 1; d < shape.size(); ++d) rows.inner_bytes *= shape[d];
  return rows;
}

// Calls f(global index, local index) for each index of the dimension that `rank` holds.
template <class F>
int64_t for_each_held(const layout::Cut& cut, int64_t rank, int64_t ranks, F&& f) {
  int64_t local = 0;
  for (const layout::Piece& piece : cut.pieces(rank, ranks)) {
    const int64_t begin = piece.begin.constant();
    for (int64_t i = 0; i < piece.extent.constant(); ++i) f(begin + i, local++);
  }
  return local;
}

double reduced(ReduceOp reduce, double a, double b) {
  switch (reduce) {
    case ReduceOp::kSum:
      return a + b;
    case ReduceOp::kMax:
      return std::max(a, b);
    case ReduceOp::kMin:
      return std::min(a, b);
    case ReduceOp::kProd:
      return a * b;
  }
  return 0;
}

HostTensor reduce_terms(ReduceOp reduce, const std::vector<HostTensor>& parts) {
  HostTensor result = parts[0];
  const bool sums_of_integers = reduce == ReduceOp::kSum && !is_floating(result.dtype);
  for (int64_t i = 0; i < result.elements(); ++i) {
    if (sums_of_integers) {
      uint64_t sum = 0;
      for (const HostTensor& part : parts) sum += static_cast<uint64_t>(part.get_integer(i));
      result.set_integer(i, static_cast<int64_t>(sum));
      continue;
    }
    double value = parts[0].get(i);
    for (size_t r = 1; r < parts.size(); ++r) value = reduced(reduce, value, parts[r].get(i));
    result.set(i, value);
  }
  return result;
}

HostTensor join_shards(const layout::Placement& placement, const std::vector<HostTensor>& parts,
                       const std::vector<int64_t>& shape, std::vector<std::string>& problems) {
  const auto dim = static_cast<size_t>(placement.dim);
  const auto ranks = static_cast<int64_t>(parts.size());
  HostTensor result(parts[0].dtype, shape);
  const Rows rows = rows_around(shape, dim, result.dtype);
  std::vector<bool> held(static_cast<size_t>(shape[dim]), false);
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const HostTensor& part = parts[static_cast<size_t>(rank)];
    std::vector<int64_t> expected = shape;
    expected[dim] = placement.cut.local_extent(rank, ranks).constant();
    if (part.shape != expected) {
      problems.push_back("rank " + std::to_string(rank) + " holds another shape than its shard");
      continue;
    }
    for_each_held(placement.cut, rank, ranks, [&](int64_t global, int64_t local) {
      const bool again = held.at(static_cast<size_t>(global));
      held[static_cast<size_t>(global)] = true;
      for (int64_t o = 0; o < rows.outer; ++o) {
        std::byte* to = result.bytes.data() + (o * shape[dim] + global) * rows.inner_bytes;
        const std::byte* from = part.bytes.data() + (o * expected[dim] + local) * rows.inner_bytes;
        const auto size = static_cast<size_t>(rows.inner_bytes);
        if (size == 0) continue;
        if (again && std::memcmp(to, from, size) != 0) {
          problems.push_back("ranks hold different values of element " + std::to_string(global));
        }
        std::memcpy(to, from, size);
      }
    });
  }
  if (std::find(held.begin(), held.end(), false) != held.end()) {
    problems.push_back("a part of the result is held by no rank");
  }
  return result;
}

// Sums of integers wrap around; extremes of unsigned integers stop at 0.
void set_term(HostTensor& tensor, int64_t index, ReduceOp reduce, double value) {
  if (reduce == ReduceOp::kSum && is_integer(tensor.dtype)) {
    tensor.set_integer(index, static_cast<int64_t>(value));
  } else {
    tensor.set(index, value);
  }
}

}  // namespace

HostTensor shard_of(const HostTensor& whole, size_t dim, const layout::Cut& cut, int64_t rank,
                    int64_t ranks) {
  std::vector<int64_t> shape = whole.shape;
  shape.at(dim) = cut.local_extent(rank, ranks).constant();
  HostTensor part(whole.dtype, shape);
  const Rows rows = rows_around(shape, dim, whole.dtype);
  for_each_held(cut, rank, ranks, [&](int64_t global, int64_t local) {
    CLEAVE_CHECK(global < whole.shape[dim], "a cut reaches beyond its dimension");
    for (int64_t o = 0; o < rows.outer && rows.inner_bytes > 0; ++o) {
      std::memcpy(part.bytes.data() + (o * shape[dim] + local) * rows.inner_bytes,
                  whole.bytes.data() + (o * whole.shape[dim] + global) * rows.inner_bytes,
                  static_cast<size_t>(rows.inner_bytes));
    }
  });
  return part;
}

std::vector<HostTensor> terms_of(const HostTensor& whole, ReduceOp reduce, int64_t ranks,
                                 uint64_t seed) {
  std::vector<HostTensor> terms(static_cast<size_t>(ranks), whole);
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < whole.elements(); ++i) {
    const size_t owner = random() % static_cast<uint64_t>(ranks);
    double rest = whole.get(i);
    for (size_t r = 0; r < terms.size(); ++r) {
      if (r == owner) continue;
      const double step = static_cast<double>(random() % 7);
      const double term = reduce == ReduceOp::kSum   ? step - 3
                          : reduce == ReduceOp::kMax ? whole.get(i) - step
                          : reduce == ReduceOp::kMin ? whole.get(i) + step
                                                     : 1;
      set_term(terms[r], i, reduce, term);
      rest -= term;
    }
    if (reduce == ReduceOp::kSum) set_term(terms[owner], i, reduce, rest);
  }
  return terms;
}

HostTensor assemble(const layout::Placement& placement, const std::vector<HostTensor>& parts,
                    const std::vector<int64_t>& shape, std::vector<std::string>& problems) {
  if (placement.is_shard()) return join_shards(placement, parts, shape, problems);
  for (const HostTensor& part : parts) {
    if (part.shape != shape) {
      problems.push_back("a rank's result has another shape than the whole");
      return HostTensor(parts[0].dtype, shape);
    }
    if (placement.is_replicate() && part.bytes != parts[0].bytes) {
      problems.push_back("ranks differ in a replicated result");
    }
  }
  return placement.is_partial() ? reduce_terms(placement.reduce, parts) : parts[0];
}

}  // namespace cleave::testing
