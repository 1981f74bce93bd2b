// Constants of a graph: small ones are values, large ones are recipes that are evaluated only when
// slices of them are written.
//
// A recipe is a source (bytes in the model, a range of a file, one value repeated, seeded noise)
// and what is done to it (slice, transpose, reshape, cast, concat, scale). Planning reads no
// source: a model whose weight files are absent can still be planned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "types/host_tensor.h"
#include "types/noise.h"
#include "types/tensor_type.h"

namespace cleave::ir {

// Constants of at most this many bytes are kept as values and take part in constant folding.
inline constexpr int64_t kSmallConstantBytes = 64 * 1024;

class Recipe;
using RecipePtr = std::shared_ptr<const Recipe>;

// A dense box of a tensor: where it begins and how far it reaches in each dimension.
struct Box {
  std::vector<int64_t> begin;
  std::vector<int64_t> extent;
};

// The boxes that a tensor is read in where that is done piece by piece: one behind the other in its
// memory, of at most `most` elements (≥ 1) each. None for an empty tensor.
std::vector<Box> boxes_in_order(const std::vector<int64_t>& shape, int64_t most);

// An immutable tensor of fixed shape that can be read box by box.
class Recipe {
 public:
  virtual ~Recipe() = default;

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t elements() const;
  int64_t bytes() const { return elements() * static_cast<int64_t>(size_of(dtype_)); }

  // Fills `into` (row-major, exactly the box's bytes) with the elements of `box`. Errors of the
  // source (absent file, cut short) are Error(kInvalid). Safe from several threads.
  virtual void read(const Box& box, std::span<std::byte> into) const = 0;
  // Equal identities mean equal contents; made from the source's name and range, not its bytes,
  // except for values.
  virtual uint64_t identity() const = 0;
  // The value where it is held in memory, else null.
  virtual const HostTensor* value() const { return nullptr; }
  // The value that all elements have, where the recipe is `constant_fill`.
  virtual std::optional<double> fill() const { return std::nullopt; }
  // What makes it, where it is noise of a floating type that was at most moved and cast.
  virtual std::optional<Noise> noise() const { return std::nullopt; }

  HostTensor read_all() const;

 protected:
  Recipe(DType dtype, std::vector<int64_t> shape) : dtype_(dtype), shape_(std::move(shape)) {}

 private:
  DType dtype_;
  std::vector<int64_t> shape_;
};

RecipePtr constant_value(HostTensor value);
// `source` may be opened late: a file that is absent fails when read, not before. `offset` in
// bytes; elements are little-endian and dense.
RecipePtr constant_file(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype,
                        std::vector<int64_t> shape);
RecipePtr constant_fill(DType dtype, std::vector<int64_t> shape, double value);
// Uniform noise in [-scale, scale], a function of (seed, element index) alone.
RecipePtr constant_noise(DType dtype, std::vector<int64_t> shape, uint64_t seed, double scale);

RecipePtr slice(RecipePtr input, Box box);
RecipePtr transpose(RecipePtr input, std::vector<int64_t> permutation);
RecipePtr reshape(RecipePtr input, std::vector<int64_t> shape);
RecipePtr cast(RecipePtr input, DType to);
RecipePtr concat(std::vector<RecipePtr> inputs, int64_t axis);
// Element times the factor of its index along `axis`, rounded once; of f32 and f64.
RecipePtr scale(RecipePtr input, int64_t axis, std::vector<double> factors);

}  // namespace cleave::ir
