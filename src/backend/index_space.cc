#include "backend/index_space.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace cleave::backend {

IndexSpace::IndexSpace(std::span<const int64_t> shape, std::vector<std::vector<int64_t>> operands) {
  for (int64_t extent : shape) elements *= extent;
  std::vector<size_t> order;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != 1) order.push_back(d);
  }
  if (!operands.empty()) {
    const std::vector<int64_t>& leader = operands.back();
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return std::abs(leader[a]) > std::abs(leader[b]); });
  }
  strides.resize(operands.size());
  for (size_t d : order) {
    bool mergeable = !extents.empty();
    for (size_t i = 0; mergeable && i < operands.size(); ++i) {
      mergeable = strides[i].back() == operands[i][d] * shape[d];
    }
    if (mergeable) {
      extents.back() *= shape[d];
      for (size_t i = 0; i < operands.size(); ++i) strides[i].back() = operands[i][d];
    } else {
      extents.push_back(shape[d]);
      for (size_t i = 0; i < operands.size(); ++i) strides[i].push_back(operands[i][d]);
    }
  }
  for (const auto& list : strides) {
    bool linear = true;
    for (size_t d = 0; d + 1 < extents.size(); ++d) {
      linear = linear && list[d] == list[d + 1] * extents[d + 1];
    }
    linear_.push_back(linear);
  }
}

int64_t IndexSpace::offset(size_t operand, int64_t index) const {
  const std::vector<int64_t>& list = strides[operand];
  if (list.empty()) return 0;
  int64_t offset = 0;
  for (size_t d = list.size() - 1; d > 0; --d) {
    offset += index % extents[d] * list[d];
    index /= extents[d];
  }
  return offset + index * list[0];
}

std::vector<int64_t> broadcast_strides(const TensorView& view, std::span<const int64_t> shape) {
  CLEAVE_CHECK(view.rank() <= shape.size(), "an operand of higher rank than the result");
  std::vector<int64_t> strides(shape.size(), 0);
  const size_t skip = shape.size() - view.rank();
  for (size_t d = 0; d < view.rank(); ++d) {
    if (view.shape[d] == 1 && shape[skip + d] != 1) continue;
    CLEAVE_CHECK(view.shape[d] == shape[skip + d],
                 "operand " + view.text() + " does not broadcast");
    strides[skip + d] = view.strides[d];
  }
  return strides;
}

RowWalk::RowWalk(const IndexSpace& space, int64_t row)
    : space_(space),
      index_(space.extents.empty() ? 0 : space.extents.size() - 1),
      offsets_(space.strides.size(), 0) {
  if (space.elements == 0) return;
  for (size_t d = index_.size(); d-- > 0;) {
    index_[d] = row % space.extents[d];
    row /= space.extents[d];
    for (size_t i = 0; i < offsets_.size(); ++i) offsets_[i] += index_[d] * space.strides[i][d];
  }
}

void RowWalk::next() {
  for (size_t d = index_.size(); d-- > 0;) {
    ++index_[d];
    for (size_t i = 0; i < offsets_.size(); ++i) offsets_[i] += space_.strides[i][d];
    if (index_[d] < space_.extents[d]) return;
    for (size_t i = 0; i < offsets_.size(); ++i) {
      offsets_[i] -= index_[d] * space_.strides[i][d];
    }
    index_[d] = 0;
  }
}

}  // namespace cleave::backend
