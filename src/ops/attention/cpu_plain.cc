#include "ops/attention/cpu_plain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "ops/attention/kernel_problem.h"

namespace cleave::backend {
namespace {

void attend_doubles(const AttentionProblem& work, int64_t item, std::span<const void* const> inputs,
                    double* out, std::vector<double>& scores, std::vector<double>& sums) {
  const int64_t row = item % work.rows;
  const int64_t head = item / work.rows % work.heads;
  const int64_t batch = item / work.rows / work.heads;
  const int64_t kv = work.key_head(head);
  const double* q = static_cast<const double*>(inputs[0]) + work.q.offset(batch, head, row);
  const double* k = static_cast<const double*>(inputs[1]) + work.k.offset(batch, kv);
  const double* v = static_cast<const double*>(inputs[2]) + work.v.offset(batch, kv);
  const int64_t end =
      work.causal ? std::clamp<int64_t>(row + work.visible, 0, work.keys) : work.keys;
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t t = 0; t < end; ++t) {
    double dot = 0;
    for (int64_t d = 0; d < work.depth; ++d) {
      dot += q[d * work.q.strides[3]] * k[t * work.k.strides[2] + d * work.k.strides[3]];
    }
    dot *= work.wide_scale;
    if (work.has_mask) {
      const int64_t at = work.mask.offset(batch, head, row, t);
      if (work.mask.type == DType::kFloat64) {
        dot += static_cast<const double*>(inputs[3])[at];
      } else if (!static_cast<const bool*>(inputs[3])[at]) {
        dot = -std::numeric_limits<double>::infinity();
      }
    }
    scores[static_cast<size_t>(t)] = dot;
    largest = std::isnan(largest) || largest > dot ? largest : dot;
  }
  double total = 0;
  std::fill(sums.begin(), sums.end(), 0.0);
  for (int64_t t = 0; t < end && !(std::isinf(largest) && largest < 0); ++t) {
    const double weight = std::exp(scores[static_cast<size_t>(t)] - largest);
    total += weight;
    for (int64_t e = 0; e < work.width; ++e) {
      sums[static_cast<size_t>(e)] += weight * v[t * work.v.strides[2] + e * work.v.strides[3]];
    }
  }
  for (int64_t e = 0; e < work.width; ++e) {
    out[work.out.offset(batch, head, row, e)] =
        total == 0 ? 0 : sums[static_cast<size_t>(e)] / total;
  }
}

RunFunction prepare(const KernelProblem& problem) {
  const AttentionProblem work(problem);
  return [work](std::span<const void* const> inputs, std::span<void* const> outputs,
                ThreadPool& pool) {
    const int64_t items = work.batches * work.heads * work.rows;
    const int64_t chunks = chunks_for(items, 1, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(items, chunks, chunk);
      std::vector<double> scores(static_cast<size_t>(work.keys));
      std::vector<double> sums(static_cast<size_t>(work.width));
      for (int64_t item = range.begin; item < range.end; ++item) {
        attend_doubles(work, item, inputs, static_cast<double*>(outputs[0]), scores, sums);
      }
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  return AttentionProblem::refuses(problem, true);
}

}  // namespace

std::shared_ptr<const Kernel> make_plain_attention() {
  return std::make_shared<SimpleKernel>("attention", "attention.plain", refuses, prepare);
}

}  // namespace cleave::backend
