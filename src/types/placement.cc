#include "types/placement.h"

#include <charconv>

#include "cleave/error.h"

namespace cleave::layout {

std::string Placement::text() const {
  switch (kind) {
    case Kind::kReplicate:
      return "replicate";
    case Kind::kShard:
      return "shard(" + std::to_string(dim) + ", " + cut.text() + ")";
    case Kind::kPartial:
      return "partial(" + std::string(name_of(reduce)) + ")";
  }
  return "?";
}

Placement Placement::parse(std::string_view text) {
  const auto fail = [&]() -> Placement {
    throw Error(ErrorCode::kInvalid, "not a placement: '" + std::string(text) + "'");
  };
  if (text == "replicate") return replicate();
  if (!text.ends_with(')')) return fail();
  if (text.starts_with("partial(")) {
    const auto op = parse_reduce_op(text.substr(8, text.size() - 9));
    return op ? partial(*op) : fail();
  }
  if (!text.starts_with("shard(")) return fail();
  const std::string_view inner = text.substr(6, text.size() - 7);
  const size_t comma = inner.find(',');
  int32_t dim = 0;
  if (comma == std::string_view::npos ||
      std::from_chars(inner.data(), inner.data() + comma, dim).ptr != inner.data() + comma) {
    return fail();
  }
  return shard(dim, Cut::parse(inner.substr(comma + 1)));
}

Placement Placement::evaluated(const SymbolValues& values) const {
  Placement result = *this;
  result.cut = cut.evaluated(values);
  return result;
}

TensorType local_type(const TensorType& whole, const Placement& placement, const Dim& rank,
                      int64_t ranks) {
  TensorType type = whole;
  if (placement.is_shard()) {
    type.shape.at(static_cast<size_t>(placement.dim)) = placement.cut.local_extent(rank, ranks);
  }
  return type;
}

}  // namespace cleave::layout
