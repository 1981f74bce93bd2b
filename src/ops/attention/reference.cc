#include "ops/attention/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

// What is added to the score of each query and column.
class Visibility {
 public:
  Visibility(const Attributes& attributes, const HostTensor* mask, int64_t rows, int64_t columns)
      : mask_(mask), causal_(attributes.integer("causal", 0) != 0) {
    shift_ = attributes.integer("row_offset", 0) + columns - attributes.integer("rows_total", rows);
  }
  double operator()(int64_t b, int64_t h, int64_t row, int64_t column) const {
    if (causal_ && column > row + shift_) return kHidden;
    if (mask_ == nullptr) return 0;
    const int64_t index[] = {b, h, row, column};
    int64_t at = 0;
    for (size_t d = 0; d < 4; ++d) {
      at = at * mask_->shape[d] + (mask_->shape[d] == 1 ? 0 : index[d]);
    }
    const double value = mask_->get(at);
    return mask_->dtype == DType::kBool ? (value != 0 ? 0 : kHidden) : value;
  }

 private:
  const HostTensor* mask_;
  bool causal_;
  int64_t shift_;
};

}  // namespace

void reference_attention(const Attributes& attributes, const HostTensor& q, const HostTensor& k,
                         const HostTensor& v, const HostTensor* mask, HostTensor& out) {
  const int64_t heads = q.shape[1], rows = q.shape[2], depth = q.shape[3];
  const int64_t kv_heads = k.shape[1], columns = k.shape[2], width = v.shape[3];
  if (out.elements() == 0) return;
  const int64_t group =
      attributes.has("group") || kv_heads == 0 ? attributes.integer("group") : heads / kv_heads;
  const int64_t head_offset = attributes.integer("head_offset", 0);
  const int64_t kv_offset = attributes.integer("kv_offset", 0);
  const double scale = attributes.real("scale");
  const Visibility visibility(attributes, mask, rows, columns);
  std::vector<double> scores(static_cast<size_t>(columns));
  std::vector<double> sums(static_cast<size_t>(width));
  int64_t at = 0;
  for (int64_t b = 0; b < q.shape[0]; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t key_head = (head_offset + h) / group - kv_offset;
      CLEAVE_CHECK(key_head >= 0 && key_head < kv_heads, "a query head without its key head");
      const int64_t keys = (b * kv_heads + key_head) * columns;
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t query = ((b * heads + h) * rows + row) * depth;
        double largest = kHidden;
        for (int64_t t = 0; t < columns; ++t) {
          double dot = 0;
          for (int64_t d = 0; d < depth; ++d) {
            dot += q.get(query + d) * k.get((keys + t) * depth + d);
          }
          const double added = visibility(b, h, row, t);
          double& score = scores[static_cast<size_t>(t)];
          score = added == kHidden ? kHidden : dot * scale + added;
          largest = combine(ReduceOp::kMax, largest, score);
        }
        double total = 0;
        sums.assign(sums.size(), 0);
        for (int64_t t = 0; t < columns; ++t) {
          if (scores[static_cast<size_t>(t)] == kHidden) continue;
          const double weight = std::exp(scores[static_cast<size_t>(t)] - largest);
          total += weight;
          for (int64_t e = 0; e < width; ++e) {
            sums[static_cast<size_t>(e)] += weight * v.get((keys + t) * width + e);
          }
        }
        for (double sum : sums) out.set(at++, total == 0 ? 0 : sum / total);
      }
    }
  }
}

}  // namespace cleave::ops
