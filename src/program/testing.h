// Small engines written by hand, for tests of the program and runtime folders.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "program/program.h"
#include "program/weight_layout.h"
#include "program/weight_source.h"
#include "types/cut.h"

namespace cleave::program::testing {

// Weights held in memory: bytes by weight and rank.
class MemoryWeights final : public WeightSource {
 public:
  std::vector<std::vector<std::string>> bytes;

  // In uneven pieces, as a source may give them.
  std::vector<uint64_t> pieces(size_t weight, int64_t rank) const override {
    const size_t size = bytes[weight][static_cast<size_t>(rank)].size();
    std::vector<uint64_t> sizes;
    for (size_t at = 0; at < size; at += kPiece) sizes.push_back(std::min(kPiece, size - at));
    return sizes;
  }
  void read(size_t weight, int64_t rank, size_t piece, std::span<std::byte> into) const override {
    const std::string& slice = bytes[weight][static_cast<size_t>(rank)];
    std::memcpy(into.data(), slice.data() + piece * kPiece, into.size());
  }

 private:
  static constexpr size_t kPiece = 1000;
};

struct TestEngine {
  EngineData data;
  std::shared_ptr<MemoryWeights> weights = std::make_shared<MemoryWeights>();

  Program& program() { return data.programs[0]; }
  std::vector<Instruction>& instructions() { return program().segments[0].instructions; }

  // Adds a weight from each rank's values; returns its index.
  uint32_t add_weight(const std::string& name, std::vector<std::vector<int64_t>> shapes,
                      const std::vector<std::vector<float>>& values) {
    Weight weight;
    weight.name = name;
    weight.shapes = std::move(shapes);
    data.weights.push_back(weight);
    auto& slices = weights->bytes.emplace_back();
    for (const std::vector<float>& v : values) {
      slices.emplace_back(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float));
    }
    return static_cast<uint32_t>(data.weights.size() - 1);
  }
  void lay_out() {
    std::vector<std::vector<uint64_t>> content;
    for (const auto& slices : weights->bytes) {
      auto& keys = content.emplace_back();
      for (const std::string& slice : slices) keys.push_back(hash_bytes(slice));
    }
    lay_out_weights(data, content);
  }
};

inline Operand operand(Space space, uint32_t index, Shape shape, int64_t offset = 0) {
  Operand result;
  result.space = space;
  result.index = index;
  result.offset = offset;
  result.type = {DType::kFloat32, std::move(shape)};
  return result;
}
inline Operand input(uint32_t index, Shape shape) {
  return operand(Space::kInput, index, std::move(shape));
}
inline Operand output(uint32_t index, Shape shape) {
  return operand(Space::kOutput, index, std::move(shape));
}
inline Operand weight(uint32_t index, Shape shape) {
  return operand(Space::kWeight, index, std::move(shape));
}
inline Operand arena(int64_t offset, Shape shape) {
  return operand(Space::kArena, 0, std::move(shape), offset);
}

// The element at (i, j) of the tests' weight matrix: small integers, so that sums are exact.
inline float matrix_value(int64_t i, int64_t j) {
  return static_cast<float>((i * 7 + j * 3) % 11 - 5);
}

// y[batch, n] = x[batch, k] · W, batch in 0..16. Split by columns: each rank multiplies with its
// columns, then they are gathered; by rows (`k`): each has its rows, and terms are added.
inline TestEngine linear_engine(int64_t ranks, int64_t k, int64_t n, bool split_k) {
  TestEngine engine;
  engine.data.ranks = ranks;
  const Dim batch = Dim::symbol("batch");
  engine.data.inputs = {{"x", {DType::kFloat32, {batch, k}}}};
  engine.data.outputs = {{"y", {DType::kFloat32, {batch, n}}}};
  engine.data.programs.resize(1);
  engine.program().symbols = {{"batch", 0, 4, 16}};
  engine.program().segments.resize(1);
  engine.data.plan_json = "{}";

  const layout::Cut cut = layout::Cut::even(split_k ? k : n);
  std::vector<std::vector<int64_t>> shapes;
  std::vector<std::vector<float>> values;
  for (int64_t r = 0; r < ranks; ++r) {
    const layout::Piece piece = cut.pieces(r, ranks)[0];
    const int64_t begin = piece.begin.constant();
    const int64_t extent = piece.extent.constant();
    shapes.push_back(split_k ? std::vector<int64_t>{extent, n} : std::vector<int64_t>{k, extent});
    auto& v = values.emplace_back();
    for (int64_t i = 0; i < shapes.back()[0]; ++i) {
      for (int64_t j = 0; j < shapes.back()[1]; ++j) {
        v.push_back(matrix_value(i + (split_k ? begin : 0), j + (split_k ? 0 : begin)));
      }
    }
  }
  const uint32_t w = engine.add_weight("W", shapes, values);
  const Dim share = cut.local_extent(Dim::rank(), ranks);

  Instruction product;
  product.op = "matmul";
  product.name = "fc";
  const int64_t term_bytes = (16 * n * 4 + 63) / 64 * 64;
  Instruction collective;
  collective.name = "fc";
  collective.attributes.set("ranks", Dim(ranks));
  if (split_k) {
    Operand x = input(0, {batch, share});
    x.element_offset = cut.pieces(Dim::rank(), ranks)[0].begin;
    x.strides = {k, 1};
    product.inputs = {x, weight(w, {share, n})};
    product.outputs = {arena(0, {batch, n})};
    collective.op = "all_reduce";
    collective.attributes.set("reduce", "sum");
    collective.inputs = {arena(0, {batch, n})};
  } else {
    product.inputs = {input(0, {batch, k}), weight(w, {k, share})};
    product.outputs = {arena(0, {batch, share})};
    collective.op = "all_gather";
    collective.attributes.set("axis", Dim(1));
    cut.to_attributes(collective.attributes);
    collective.inputs = {arena(0, {batch, share})};
  }
  collective.outputs = {output(0, {batch, n})};
  engine.instructions() = {product, collective};
  engine.program().arena_bytes = term_bytes;
  engine.lay_out();
  return engine;
}

}  // namespace cleave::program::testing
