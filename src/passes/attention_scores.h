// What lies between a softmax and the product of queries and keys.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// A mask on the way from the product to the softmax.
struct ScoreMask {
  enum class Kind { kAdded, kVisible, kHidden } kind = Kind::kAdded;
  ir::ValueId value;  // as it is added, or the condition of `where`
  double hidden = 0;  // what `where` puts
};

struct AttentionScores {
  ir::ValueId product;           // the matmul's result
  double scale = 1;              // of the product, before any mask
  std::vector<ScoreMask> masks;  // the one nearest to the softmax first
};

// nullopt where there is anything else on the way, or a scale between mask and softmax.
std::optional<AttentionScores> attention_scores(const Rewriter& rewriter, ir::ValueId scores);

}  // namespace cleave::passes
