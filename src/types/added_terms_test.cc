#include "types/added_terms.h"

#include <gtest/gtest.h>

namespace cleave {
namespace {

FusedStep step(std::string op, std::vector<int32_t> args, DType type = DType::kFloat16) {
  return {.op = std::move(op), .args = std::move(args), .type = type};
}

// "1 2 relu": terms, then the function; "none" for other chains.
std::string text_of(int32_t inputs, std::vector<FusedStep> steps, int64_t rank = 0) {
  const auto last = inputs + static_cast<int32_t>(steps.size()) - 1;
  const auto added = AddedTerms::of({inputs, std::move(steps), {last}}, rank);
  if (!added) return "none";
  std::string text;
  for (const int32_t term : added->terms) text += std::to_string(term) + " ";
  return text + added->function;
}

TEST(AddedTerms, AreFoundInAnyOrder) {
  EXPECT_EQ(text_of(2, {step("add", {0, 1})}), "1 ");
  EXPECT_EQ(text_of(2, {step("add", {1, 0})}), "1 ");
  EXPECT_EQ(text_of(3, {step("add", {0, 2}), step("add", {1, 3})}), "1 2 ");
  EXPECT_EQ(text_of(3, {step("add", {1, 2}), step("add", {3, 0})}), "1 2 ");
  EXPECT_EQ(text_of(1, {step("relu", {0})}), "relu");
  EXPECT_EQ(text_of(2, {step("add", {0, 1}), step("gelu_tanh", {2})}), "1 gelu_tanh");
}

TEST(AddedTerms, OfRankZeroAloneAreNoneElsewhere) {
  const std::vector<FusedStep> steps = {step("rank_zero", {1}), step("add", {0, 2})};
  EXPECT_EQ(text_of(2, steps, 0), "1 ");
  EXPECT_EQ(text_of(2, steps, 1), "");
  EXPECT_EQ(text_of(1, {step("rank_zero", {0})}), "none");
}

TEST(AddedTerms, OtherChainsAreNone) {
  EXPECT_EQ(text_of(2, {step("mul", {0, 1})}), "none");
  EXPECT_EQ(text_of(1, {step("add", {0, 0})}), "none");
  EXPECT_EQ(text_of(2, {step("relu", {0}), step("add", {1, 2})}), "none");
  EXPECT_EQ(text_of(2, {step("add", {1, 1})}), "none");
  EXPECT_EQ(text_of(2, {step("relu", {1}), step("add", {0, 2})}), "none");
  EXPECT_EQ(text_of(2, {step("relu", {0}), step("relu", {2})}), "none");
  EXPECT_EQ(text_of(1, {step("cast", {0}, DType::kFloat32)}), "none");
  EXPECT_EQ(text_of(2, {step("add", {0, 1}), step("relu", {2}, DType::kFloat32)}), "none");
  FusedStep leaky = step("leaky_relu", {0});
  leaky.alpha = 0.1;
  EXPECT_EQ(text_of(1, {leaky}), "none");
  EXPECT_EQ(text_of(1, {step("sigmoid", {0}), step("mul", {0, 1})}), "none");
}

}  // namespace
}  // namespace cleave
