#include "ops/movement.h"

#include <algorithm>
#include <cstring>

#include "ops/operands.h"

namespace cleave::ops {
namespace {

// Calls f(position) for every index of `extent` in row-major order, where position starts at
// `offset` and moves by `strides`.
template <class F>
void for_each_position(const std::vector<int64_t>& extent, int64_t offset,
                       const std::vector<int64_t>& strides, F&& f) {
  if (std::find(extent.begin(), extent.end(), 0) != extent.end()) return;
  std::vector<int64_t> index(extent.size(), 0);
  int64_t position = offset;
  while (true) {
    f(position);
    size_t d = extent.size();
    while (d > 0) {
      --d;
      position += strides[d];
      if (++index[d] < extent[d]) break;
      position -= extent[d] * strides[d];
      index[d] = 0;
      if (d == 0) return;
    }
    if (extent.empty()) return;
  }
}

}  // namespace

void add_movement_sets(layout::ShardingRule& rule, const std::vector<uint32_t>& operands) {
  for (ReduceOp reduce : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin, ReduceOp::kProd}) {
    rule.linear.push_back({reduce, operands});
  }
}

Work movement_work(std::span<const TensorType> outputs) {
  Work work;
  for (const TensorType& type : outputs) work.bytes += type.bytes() * 2;
  return work;
}

void require_not_negative(const Dim& value, std::string_view what) {
  if (value.bounds({}).high < 0) {
    invalid(std::string(what) + " is negative: " + value.text());
  }
}

std::vector<AttributeField> ShapingOp::fields() const {
  return {{"shape", AttributeField::Kind::kDims}};
}

Attributes ShapingOp::localize(const LocalizeContext& context) const {
  Attributes local = context.whole.attributes;
  local.set("shape", context.local_outputs[0].shape);
  return local;
}

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

void copy_strided(const HostTensor& input, int64_t offset, const std::vector<int64_t>& strides,
                  HostTensor& output) {
  const size_t size = size_of(output.dtype);
  const int64_t count = input.elements();
  std::byte* to = output.bytes.data();
  for_each_position(output.shape, offset, strides, [&](int64_t position) {
    if (position < 0 || position >= count) {
      invalid("an element outside of the operand is read");
    }
    std::memcpy(to, input.bytes.data() + static_cast<size_t>(position) * size, size);
    to += size;
  });
}

void copy_box(const HostTensor& from, const std::vector<int64_t>& from_begin, HostTensor& to,
              const std::vector<int64_t>& to_begin, const std::vector<int64_t>& extent) {
  const std::vector<int64_t> from_strides = row_major_strides(from.shape);
  const std::vector<int64_t> to_strides = row_major_strides(to.shape);
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  for (size_t d = 0; d < extent.size(); ++d) {
    if (from_begin[d] < 0 || to_begin[d] < 0 || extent[d] < 0 ||
        extent[d] > from.shape[d] - from_begin[d] || extent[d] > to.shape[d] - to_begin[d]) {
      invalid("a part of an operand lies outside of it");
    }
    from_offset += from_begin[d] * from_strides[d];
    to_offset += to_begin[d] * to_strides[d];
  }
  const size_t size = size_of(from.dtype);
  std::vector<int64_t> positions;
  for_each_position(extent, from_offset, from_strides,
                    [&](int64_t position) { positions.push_back(position); });
  auto next = positions.begin();
  for_each_position(extent, to_offset, to_strides, [&](int64_t position) {
    std::memcpy(to.bytes.data() + static_cast<size_t>(position) * size,
                from.bytes.data() + static_cast<size_t>(*next++) * size, size);
  });
}

}  // namespace cleave::ops
