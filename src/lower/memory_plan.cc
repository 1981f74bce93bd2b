#include "lower/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace cleave::lower {
namespace {

constexpr int64_t kAlignment = 64;

int64_t aligned(int64_t bytes) {
  return (checked_add(bytes, kAlignment - 1)) / kAlignment * kAlignment;
}

}  // namespace

int64_t plan_memory(std::vector<Buffer>& buffers) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<size_t> placed;  // by offset
  int64_t total = 0;
  for (size_t index : order) {
    Buffer& buffer = buffers[index];
    const int64_t bytes = aligned(buffer.bytes);
    int64_t offset = 0;
    for (size_t other_index : placed) {
      const Buffer& other = buffers[other_index];
      if (other.last < buffer.first || buffer.last < other.first) continue;
      if (offset + bytes <= other.offset) break;
      offset = std::max(offset, other.offset + aligned(other.bytes));
    }
    buffer.offset = offset;
    total = std::max(total, checked_add(offset, bytes));
    const auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                                     [&](int64_t o, size_t i) { return o < buffers[i].offset; });
    placed.insert(at, index);
  }
  return total;
}

int64_t largest(const Dim& size, const std::vector<program::Symbol>& symbols, int64_t ranks) {
  // Sizes grow with the symbols but for a few (differences), so every corner is looked at.
  std::vector<const program::Symbol*> used;
  for (const program::Symbol& symbol : symbols) {
    if (size.depends_on(symbol.name)) used.push_back(&symbol);
  }
  CLEAVE_CHECK(used.size() <= 16, "a tensor's size depends on too many symbols");
  const bool by_rank = size.depends_on(kRankSymbol);
  int64_t result = 0;
  for (size_t corner = 0; corner < (size_t{1} << used.size()); ++corner) {
    SymbolValues values;
    for (size_t i = 0; i < used.size(); ++i) {
      values[used[i]->name] = (corner >> i & 1) != 0 ? used[i]->max : used[i]->min;
    }
    for (int64_t rank = 0; rank < (by_rank ? ranks : 1); ++rank) {
      values[std::string(kRankSymbol)] = rank;
      result = std::max(result, size.evaluate(values));
    }
  }
  return result;
}

int64_t largest_bytes(const TensorType& type, const std::vector<program::Symbol>& symbols,
                      int64_t ranks) {
  return largest(type.bytes(), symbols, ranks);
}

}  // namespace cleave::lower
