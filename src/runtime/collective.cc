#include "runtime/collective.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "program/validate.h"

namespace cleave::runtime {
namespace {

using backend::TensorView;

// A contiguous part of the cut dimension that a rank holds.
struct Share {
  int64_t begin = 0;
  int64_t extent = 0;
};
using Shares = std::vector<std::vector<Share>>;  // by rank

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "the engine is invalid: " + what, "build it again");
}

void require(bool condition, const char* what) {
  if (!condition) invalid(what);
}

// What each rank holds of a dimension of `extent`, by the cut in `<prefix>extent`, `<prefix>grain`
// and `<prefix>group`.
Shares shares_of(const Attributes& attributes, const std::string& prefix, int64_t extent,
                 int64_t ranks) {
  const layout::Cut cut = layout::Cut::from_attributes(attributes, prefix);
  cut.validate(extent);
  Shares shares;
  for (int64_t r = 0; r < ranks; ++r) {
    auto& held = shares.emplace_back();
    for (const layout::Piece& piece : cut.pieces(r, ranks)) {
      held.push_back({piece.begin.constant(), piece.extent.constant()});
    }
  }
  return shares;
}

int64_t total(const std::vector<Share>& shares) {
  int64_t sum = 0;
  for (const Share& share : shares) sum += share.extent;
  return sum;
}

int64_t product_of(const std::vector<int64_t>& shape, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t d = begin; d < end; ++d) product = checked_mul(product, shape[d]);
  return product;
}

// The dimensions as they lie in memory: a collective sees a tensor that is dense in some format as
// a row-major one of other dimensions.
class MemoryOrder {
 public:
  explicit MemoryOrder(std::vector<size_t> order) : order_(std::move(order)) {}

  std::vector<int64_t> of(const std::vector<int64_t>& shape) const {
    require(shape.size() == order_.size(), "a collective's operands differ in rank");
    std::vector<int64_t> result;
    for (const size_t d : order_) result.push_back(shape[d]);
    return result;
  }
  // Where the dimension that the attribute names lies.
  size_t axis(const Attributes& attributes, std::string_view name) const {
    const int64_t axis = attributes.integer(name);
    const auto at = std::find(order_.begin(), order_.end(), static_cast<size_t>(axis));
    require(axis >= 0 && at != order_.end(), "a collective's axis does not exist");
    return static_cast<size_t>(at - order_.begin());
  }

 private:
  std::vector<size_t> order_;  // outermost first
};

// The format that the attribute names, which is that of all ranks.
MemoryOrder order_of(const Attributes& attributes, const TensorView& input,
                     const TensorView& output) {
  const std::string& name = attributes.string("format", "row_major");
  const auto format = parse_format(name);
  require(format.has_value(), "a collective's format is not known");
  require(input.has_format(*format) && output.has_format(*format),
          "a collective's operands must be dense in its format");
  return MemoryOrder(memory_order(*format, input.rank()));
}

// The local shape of what is held of a tensor of shape `whole`.
std::vector<int64_t> local_shape(std::vector<int64_t> whole, size_t axis,
                                 const std::vector<Share>& held) {
  whole[axis] = total(held);
  return whole;
}

ShardMap shard_map(const std::vector<int64_t>& whole, size_t axis, const Shares& shares) {
  const int64_t inner = product_of(whole, axis + 1, whole.size());
  ShardMap map;
  map.rows = product_of(whole, 0, axis);
  map.row_elements = checked_mul(whole[axis], inner);
  for (const std::vector<Share>& held : shares) {
    auto& pieces = map.pieces.emplace_back();
    int64_t local = 0;
    for (const Share& share : held) {
      if (share.extent != 0) {
        pieces.push_back({share.begin * inner, local * inner, share.extent * inner});
      }
      local += share.extent;
    }
  }
  return map;
}

BoxMap box_map(const std::vector<int64_t>& whole, size_t axis, const Shares& shares) {
  BoxMap map;
  for (const std::vector<Share>& held : shares) {
    LocalBoxes& local = map.ranks.emplace_back();
    local.shape = local_shape(whole, axis, held);
    int64_t begin = 0;
    for (const Share& share : held) {
      if (share.extent == 0) continue;
      Box box;
      box.begin.assign(whole.size(), 0);
      box.extent = whole;
      box.local_begin.assign(whole.size(), 0);
      box.begin[axis] = share.begin;
      box.extent[axis] = share.extent;
      box.local_begin[axis] = begin;
      begin += share.extent;
      local.boxes.push_back(std::move(box));
    }
  }
  return map;
}

ReduceOp reduce_op(const Attributes& attributes) {
  const std::string& name = attributes.string("reduce");
  if (name == "sum") return ReduceOp::kSum;
  if (name == "max") return ReduceOp::kMax;
  if (name == "min") return ReduceOp::kMin;
  if (name == "prod") return ReduceOp::kProd;
  invalid("there is no reduction '" + name + "'");
}

// For collectives that know the whole tensor and one cut of it.
ShardMap checked_shard_map(const Attributes& attributes, const MemoryOrder& order,
                           const std::vector<int64_t>& whole, const std::vector<int64_t>& part,
                           int64_t rank, int64_t ranks) {
  const size_t axis = order.axis(attributes, "axis");
  const Shares shares = shares_of(attributes, "cut_", whole[axis], ranks);
  require(part == local_shape(whole, axis, shares[static_cast<size_t>(rank)]),
          "a collective's shard has not the shape of its cut");
  return shard_map(whole, axis, shares);
}

AllToAll make_all_to_all(const Attributes& attributes, const MemoryOrder& order,
                         const std::vector<int64_t>& input, const std::vector<int64_t>& output,
                         int64_t rank, int64_t ranks) {
  AllToAll result;
  result.shape = order.of(attributes.integers("shape"));
  for (const int64_t extent : result.shape) require(extent >= 0, "a size is negative");
  const auto r = static_cast<size_t>(rank);
  const size_t from = order.axis(attributes, "from_axis");
  const Shares from_shares = shares_of(attributes, "from_", result.shape[from], ranks);
  const size_t to = order.axis(attributes, "to_axis");
  const Shares to_shares = shares_of(attributes, "to_", result.shape[to], ranks);
  require(input == local_shape(result.shape, from, from_shares[r]) &&
              output == local_shape(result.shape, to, to_shares[r]),
          "a collective's shard has not the shape of its cut");
  result.from = box_map(result.shape, from, from_shares);
  result.to = box_map(result.shape, to, to_shares);
  return result;
}

void take_shard(backend::Device& device, const ShardMap& map, int rank, size_t element,
                const void* source, void* destination, StreamHandle stream) {
  const auto bytes = [&](int64_t elements) { return elements * static_cast<int64_t>(element); };
  const auto* from = static_cast<const std::byte*>(source);
  auto* to = static_cast<std::byte*>(destination);
  for (const Piece& piece : map.pieces[static_cast<size_t>(rank)]) {
    device.copy_rows(to + bytes(piece.local_offset), bytes(map.local_row_elements(rank)),
                     from + bytes(piece.global_offset), bytes(map.row_elements), bytes(piece.count),
                     map.rows, stream);
  }
}

}  // namespace

bool is_collective_op(std::string_view op) { return program::is_collective(op) || op == "shard"; }

Collective make_collective(std::string_view op, const Attributes& attributes,
                           const TensorView& input, const TensorView& output, int64_t rank,
                           int64_t ranks) {
  require(input.present && output.present && input.rank() == output.rank(),
          "a collective's operands differ in rank");
  require(input.dtype == output.dtype, "a collective changes the element type");
  const MemoryOrder order = order_of(attributes, input, output);
  const std::vector<int64_t> from = order.of(input.shape);
  const std::vector<int64_t> to = order.of(output.shape);
  Collective result;
  result.dtype = input.dtype;
  if (op == "all_reduce") {
    require(input.shape == output.shape, "a collective changes the shape");
    result.what = AllReduce{input.elements(), reduce_op(attributes)};
  } else if (op == "all_gather") {
    result.what = AllGather{checked_shard_map(attributes, order, to, from, rank, ranks)};
  } else if (op == "reduce_scatter") {
    result.what = ReduceScatter{checked_shard_map(attributes, order, from, to, rank, ranks),
                                reduce_op(attributes)};
  } else if (op == "shard") {
    result.what = TakeShard{checked_shard_map(attributes, order, from, to, rank, ranks)};
  } else {
    CLEAVE_CHECK(op == "all_to_all", "not a collective: " + std::string(op));
    result.what = make_all_to_all(attributes, order, from, to, rank, ranks);
  }
  return result;
}

void Collective::run(backend::Device& device, Communicator& communicator, const void* source,
                     void* destination, StreamHandle stream) const {
  if (const auto* reduce = std::get_if<AllReduce>(&what)) {
    communicator.all_reduce(source, destination, reduce->count, dtype, reduce->op, stream);
  } else if (const auto* gather = std::get_if<AllGather>(&what)) {
    communicator.all_gather(source, destination, gather->map, dtype, stream);
  } else if (const auto* scatter = std::get_if<ReduceScatter>(&what)) {
    communicator.reduce_scatter(source, destination, scatter->map, dtype, scatter->op, stream);
  } else if (const auto* all = std::get_if<AllToAll>(&what)) {
    communicator.redistribute(source, all->from, destination, all->to, all->shape, dtype, stream);
  } else {
    take_shard(device, std::get<TakeShard>(what).map, communicator.rank(), size_of(dtype), source,
               destination, stream);
  }
}

}  // namespace cleave::runtime
