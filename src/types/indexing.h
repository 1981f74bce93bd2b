// What the ops that reach elements by indices share: indices are i32 or i64, negative ones count
// from the end, and what lies outside is nobody's element: it gathers 0 and scatters nothing.
#pragma once

#include <optional>

#include "types/arithmetic.h"
#include "types/attributes.h"
#include "types/element_size.h"

namespace cleave {

// The elements along a dimension that indices reach: `extent` of them, from element `offset` of all
// `total` on. A rank may hold a part of the dimension alone.
struct IndexRange {
  int64_t extent = 0;
  int64_t offset = 0;
  int64_t total = 0;

  // As the attributes `offset` and `total` have it; without them the elements are all there are.
  static IndexRange of(const Attributes& attributes, int64_t extent) {
    return {extent, attributes.integer("offset", 0), attributes.integer("total", extent)};
  }

  // The index counted from the first of the elements; -1 where it is none of them.
  int64_t position(int64_t index) const {
    if (index < 0) index += total;
    index -= offset;
    return index < 0 || index >= extent ? -1 : index;
  }
};

// Calls f<I>() with the C++ type of the indices.
template <class F>
decltype(auto) dispatch_index(DType type, F&& f) {
  return type == DType::kInt64 ? f.template operator()<int64_t>()
                               : f.template operator()<int32_t>();
}

// How the updates of a scatter meet the elements that are there: by the reduction that the
// attribute `reduce` names. Without it they replace the elements, the last update in the end.
inline std::optional<ReduceOp> scatter_reduction(const Attributes& attributes) {
  if (!attributes.has("reduce")) return std::nullopt;
  const std::string& name = attributes.string("reduce");
  const auto reduce = parse_reduce_op(name);
  if (!reduce) {
    throw Error(ErrorCode::kInvalid, "there is no reduction '" + name + "'",
                "take sum, max, min or prod");
  }
  return reduce;
}

// Calls f<T>() with the type in which elements are updated: what is only replaced is moved by its
// size.
template <class F>
decltype(auto) dispatch_update(DType type, std::optional<ReduceOp> reduce, F&& f) {
  if (reduce) return dispatch_dtype(type, f);
  return dispatch_size(size_of(type), f);
}

// Calls f with what makes the new element of the old one and an update.
template <class F>
decltype(auto) dispatch_scatter(std::optional<ReduceOp> reduce, F&& f) {
  if (!reduce) return f([](auto, auto update) { return update; });
  return dispatch_reduction(*reduce, [&]<ReduceOp kOp>() {
    return f([](auto element, auto update) { return combine<kOp>(element, update); });
  });
}

}  // namespace cleave
