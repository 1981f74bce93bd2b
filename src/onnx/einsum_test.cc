// Einsum, against sums worked out by hand and by a loop over all indices.
#include <gmock/gmock.h>

#include <map>

#include "onnx/test_node.h"
#include "tests/ops_support/tensors.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Edit equation(const std::string& text) {
  return [text](NodeProto& node) { set(node, "equation", text.c_str()); };
}

HostTensor einsum(const std::string& text, const std::vector<HostTensor>& operands) {
  std::vector<Operand> inputs;
  for (const HostTensor& operand : operands) inputs.push_back(data(operand));
  return run("Einsum", 12, inputs, equation(text))[0];
}

// The ops of an equation for operands of these shapes.
std::vector<std::string> ops(const std::string& text, const std::vector<std::vector<int>>& shapes) {
  TestModel model(12);
  std::vector<std::string> names;
  for (const auto& shape : shapes) {
    names.push_back("x" + std::to_string(names.size()));
    std::vector<TestDim> dims(shape.begin(), shape.end());
    model.input(names.back(), dims);
  }
  model.output("y");
  set(model.node("Einsum", names, {"y"}), "equation", text.c_str());
  return ops_of(model.load());
}

// "ij,jk->ik" with every letter of `extents`: the sum over all indices. Explicit, no ellipsis.
Values by_loops(const std::string& text, const std::vector<HostTensor>& operands,
                const std::map<char, int64_t>& extents, std::vector<int64_t>& shape) {
  std::vector<std::string> terms(1);
  for (const char letter : text.substr(0, text.find("->"))) {
    letter == ',' ? (void)terms.emplace_back() : (void)(terms.back() += letter);
  }
  terms.push_back(text.substr(text.find("->") + 2));
  shape.clear();
  int64_t elements = 1, all = 1;
  for (const char letter : terms.back()) {
    shape.push_back(extents.at(letter));
    elements *= shape.back();
  }
  for (const auto& [letter, extent] : extents) all *= extent;
  Values result(static_cast<size_t>(elements), 0.0);
  for (int64_t i = 0; i < all; ++i) {
    std::map<char, int64_t> index;
    int64_t left = i;
    for (const auto& [letter, extent] : extents) {
      index[letter] = left % extent;
      left /= extent;
    }
    const auto at = [&](const std::string& term) {
      int64_t place = 0;
      for (const char letter : term) place = place * extents.at(letter) + index.at(letter);
      return place;
    };
    double product = 1;
    for (size_t t = 0; t < operands.size(); ++t) product *= operands[t].get(at(terms[t]));
    result[static_cast<size_t>(at(terms.back()))] += product;
  }
  return result;
}

TEST(Einsum, EqualsTheSumOverAllIndices) {
  const std::map<char, int64_t> all = {{'a', 2}, {'b', 3}, {'i', 4}, {'j', 5}, {'k', 2}, {'l', 3}};
  for (const std::string text :
       {"ij,jk->ik",    "ji,jk->ik", "ij,kj->ki",     "bij,bjk->bik", "abij,abkj->abik",
        "bij,jk->bik",  "ij,ij->",   "ij,ij->ij",     "i,j->ij",      "i,j->ji",
        "ij->ji",       "ij->j",     "ij->",          "aij,bij->ab",  "bijk,bjl->bikl",
        "ij,jk,kl->il", "i,i,i->i",  "ab,b,bij->aij", "abi,jb->iaj",  "iji->ij",
        "ii->",         "ii,ij->j",  "ijij->ji",      "ab,ij->",      "kb,bk->k"}) {
    SCOPED_TRACE(text);
    std::vector<HostTensor> operands;
    std::map<char, int64_t> extents;
    std::vector<int64_t> shape;
    const auto finish = [&] {
      operands.push_back(
          testing::random_integers(DType::kFloat32, shape, operands.size() + 1, -3, 3));
      shape.clear();
    };
    for (const char letter : text) {
      if (letter == ',' || letter == '-') finish();
      if (letter == '-') break;
      if (letter == ',') continue;
      shape.push_back(all.at(letter));
      extents[letter] = all.at(letter);
    }
    const Values expected = by_loops(text, operands, extents, shape);
    expect(einsum(text, operands), shape, expected);
  }
}

TEST(Einsum, ImplicitResultsAndEllipses) {
  const HostTensor a = floats({2, 2}, {1, 2, 3, 4});
  expect(einsum("ij,jk", {a, a}), {2, 2}, {7, 10, 15, 22});
  expect(einsum("ba", {a}), {2, 2}, {1, 3, 2, 4});
  expect(einsum("ii", {a}), {}, {5});
  const HostTensor batch = floats({2, 1, 2}, {1, 0, 0, 1});
  expect(einsum("...ij, jk -> ...ik", {batch, a}), {2, 1, 2}, {1, 2, 3, 4});
  expect(einsum("...ij,...jk", {batch, floats({1, 2, 1}, {5, 6})}), {2, 1, 1}, {5, 6});
  expect(einsum("...i->...", {a}), {2}, {3, 7});
  // Leading dimensions of an ellipsis that one operand has alone.
  expect(einsum("...,...", {a, floats({2}, {10, 100})}), {2, 2}, {10, 200, 30, 400});
  // A dimension of 1 is stretched.
  expect(einsum("ij,ij->i", {a, floats({1, 2}, {1, 10})}), {2}, {21, 43});
}

TEST(Einsum, ContractionsAreMatrixProducts) {
  EXPECT_THAT(ops("ij,jk->ik", {{2, 3}, {3, 4}}), ElementsAre("matmul"));
  EXPECT_THAT(ops("bhqd,bhkd->bhqk", {{2, 3, 4, 5}, {2, 3, 6, 5}}), ElementsAre("matmul"));
  EXPECT_THAT(ops("bhqk,bhkd->bhqd", {{2, 3, 4, 5}, {2, 3, 5, 6}}), ElementsAre("matmul"));
  EXPECT_THAT(ops("bti,ij->btj", {{2, 3, 4}, {4, 5}}), ElementsAre("matmul"));
  EXPECT_THAT(ops("i,i->", {{4}, {4}}), ElementsAre("reshape", "reshape", "matmul", "reshape"));
}

TEST(Einsum, Errors) {
  const HostTensor a = floats({2, 2}, {1, 2, 3, 4});
  const auto message = [&](const std::string& text, const std::vector<HostTensor>& operands) {
    const Error error = error_of([&] { einsum(text, operands); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    return error.message();
  };
  EXPECT_THAT(message("ij,jk->ik", {a}), HasSubstr("is for 2 operands, not 1"));
  EXPECT_THAT(message("i->i", {a}), HasSubstr("does not fit operand 0, f32[2, 2]"));
  EXPECT_THAT(message("ij->ii", {a}), HasSubstr("repeats a letter in its result"));
  EXPECT_THAT(message("ij->ik", {a}), HasSubstr("a letter in its result that no operand has"));
  EXPECT_THAT(message("i1->i", {a}), HasSubstr("'1' where a letter must be"));
  EXPECT_NE(message("ij,jk->ik", {a, floats({3, 1}, {1, 2, 3})}), "");
}

}  // namespace
}  // namespace cleave::onnx
