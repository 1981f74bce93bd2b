#include "ir/constant.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace cleave::ir {
namespace {

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

int64_t count_of(const std::vector<int64_t>& extents) {
  int64_t n = 1;
  for (int64_t extent : extents) n *= extent;
  return n;
}

// Calls f(begin element, run length) for each contiguous run of `box` in a tensor of `shape`.
template <class F>
void for_each_run(const std::vector<int64_t>& shape, const Box& box, F&& f) {
  const size_t rank = shape.size();
  if (count_of(box.extent) == 0) return;
  // Trailing dimensions taken whole join the run.
  size_t split = rank;
  int64_t run = 1;
  while (split > 0) {
    --split;
    run *= box.extent[split];
    if (box.extent[split] != shape[split]) break;
  }
  const std::vector<int64_t> strides = row_major_strides(shape);
  std::vector<int64_t> index(split, 0);
  while (true) {
    int64_t offset = 0;
    for (size_t i = 0; i < rank; ++i) {
      offset += (box.begin[i] + (i < split ? index[i] : 0)) * strides[i];
    }
    f(offset, run);
    size_t i = split;
    while (i > 0 && ++index[i - 1] == box.extent[i - 1]) index[--i] = 0;
    if (i == 0) return;
  }
}

uint64_t hash_ints(const std::vector<int64_t>& values, uint64_t seed) {
  return hash_bytes(std::as_bytes(std::span(values)), seed);
}

class ValueRecipe final : public Recipe {
 public:
  explicit ValueRecipe(HostTensor value)
      : Recipe(value.dtype, value.shape), value_(std::move(value)) {
    identity_ = hash_combine(hash_bytes(value_.bytes), hash_ints(value_.shape, 1));
    identity_ = hash_combine(identity_, static_cast<uint64_t>(value_.dtype));
  }
  void read(const Box& box, std::span<std::byte> into) const override {
    const auto size = static_cast<int64_t>(size_of(dtype()));
    std::byte* out = into.data();
    for_each_run(shape(), box, [&](int64_t offset, int64_t run) {
      std::memcpy(out, value_.bytes.data() + offset * size, static_cast<size_t>(run * size));
      out += run * size;
    });
  }
  uint64_t identity() const override { return identity_; }
  const HostTensor* value() const override { return &value_; }

 private:
  HostTensor value_;
  uint64_t identity_;
};

class FileRecipe final : public Recipe {
 public:
  FileRecipe(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype,
             std::vector<int64_t> shape)
      : Recipe(dtype, std::move(shape)), source_(std::move(source)), offset_(offset) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    const auto size = static_cast<int64_t>(size_of(dtype()));
    std::byte* out = into.data();
    for_each_run(shape(), box, [&](int64_t offset, int64_t run) {
      source_->read(offset_ + static_cast<uint64_t>(offset * size),
                    {out, static_cast<size_t>(run * size)});
      out += run * size;
    });
  }
  uint64_t identity() const override {
    uint64_t h = hash_combine(hash_bytes(source_->name()), offset_);
    h = hash_combine(h, hash_ints(shape(), 2));
    return hash_combine(h, static_cast<uint64_t>(dtype()));
  }

 private:
  std::shared_ptr<const ByteSource> source_;
  uint64_t offset_;
};

class FillRecipe final : public Recipe {
 public:
  FillRecipe(DType dtype, std::vector<int64_t> shape, double value)
      : Recipe(dtype, std::move(shape)), value_(value), element_(dtype, {1}) {
    element_.set(0, value);
  }
  void read(const Box&, std::span<std::byte> into) const override {
    const size_t size = size_of(dtype());
    for (size_t i = 0; i < into.size(); i += size) {
      std::memcpy(into.data() + i, element_.bytes.data(), size);
    }
  }
  uint64_t identity() const override {
    const uint64_t h = hash_combine(hash_ints(shape(), 3), static_cast<uint64_t>(dtype()));
    return hash_combine(h, hash_bytes(std::as_bytes(std::span(&value_, 1))));
  }
  std::optional<double> fill() const override { return value_; }

 private:
  double value_;
  HostTensor element_;
};

class NoiseRecipe final : public Recipe {
 public:
  NoiseRecipe(DType dtype, std::vector<int64_t> shape, uint64_t seed, double scale)
      : Recipe(dtype, std::move(shape)), box_{.seed = seed, .scale = scale} {
    box_.begin.resize(this->shape().size());
    box_.extent = this->shape();
    box_.strides = row_major_strides(this->shape());
  }
  void read(const Box& box, std::span<std::byte> into) const override {
    const size_t size = size_of(dtype());
    const DType type = dtype();
    HostTensor element(type, {1});
    std::byte* out = into.data();
    for_each_run(shape(), box, [&](int64_t offset, int64_t run) {
      if (is_floating(type)) {
        make_noise_run({&type, 1}, box_, static_cast<uint64_t>(offset), 1, run, out);
        out += static_cast<size_t>(run) * size;
        return;
      }
      for (int64_t i = 0; i < run; ++i, out += size) {
        element.set(0, noise_at(box_.seed, static_cast<uint64_t>(offset + i)) * box_.scale);
        std::memcpy(out, element.bytes.data(), size);
      }
    });
  }
  uint64_t identity() const override {
    const uint64_t h = hash_combine(hash_ints(shape(), 4), static_cast<uint64_t>(dtype()));
    return hash_combine(hash_combine(h, box_.seed),
                        hash_bytes(std::as_bytes(std::span(&box_.scale, 1))));
  }
  std::optional<Noise> noise() const override {
    if (!is_floating(dtype())) return std::nullopt;
    return Noise{{dtype()}, {box_}};
  }

 private:
  NoiseBox box_;
};

class SliceRecipe final : public Recipe {
 public:
  SliceRecipe(RecipePtr input, Box box)
      : Recipe(input->dtype(), box.extent), input_(std::move(input)), box_(std::move(box)) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    Box moved = box;
    for (size_t i = 0; i < moved.begin.size(); ++i) moved.begin[i] += box_.begin[i];
    input_->read(moved, into);
  }
  uint64_t identity() const override {
    return hash_combine(input_->identity(), hash_ints(box_.extent, hash_ints(box_.begin, 5)));
  }
  std::optional<Noise> noise() const override {
    std::optional<Noise> noise = input_->noise();
    if (!noise) return std::nullopt;
    std::vector<NoiseBox> kept;
    for (NoiseBox& box : noise->boxes) {
      if (cut(box)) kept.push_back(std::move(box));
    }
    noise->boxes = std::move(kept);
    return noise;
  }

 private:
  // To what lies in the slice, seen from its corner; false where nothing does.
  bool cut(NoiseBox& box) const {
    for (size_t d = 0; d < box.begin.size(); ++d) {
      const int64_t begin = std::max(box.begin[d], box_.begin[d]);
      const int64_t end = std::min(box.begin[d] + box.extent[d], box_.begin[d] + box_.extent[d]);
      if (begin >= end) return false;
      box.first +=
          static_cast<uint64_t>(begin - box.begin[d]) * static_cast<uint64_t>(box.strides[d]);
      box.begin[d] = begin - box_.begin[d];
      box.extent[d] = end - begin;
    }
    return true;
  }

  RecipePtr input_;
  Box box_;
};

class TransposeRecipe final : public Recipe {
 public:
  TransposeRecipe(RecipePtr input, std::vector<int64_t> permutation, std::vector<int64_t> shape)
      : Recipe(input->dtype(), std::move(shape)),
        input_(std::move(input)),
        permutation_(std::move(permutation)) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    const size_t rank = permutation_.size();
    Box source{std::vector<int64_t>(rank), std::vector<int64_t>(rank)};
    for (size_t i = 0; i < rank; ++i) {
      source.begin[permutation_[i]] = box.begin[i];
      source.extent[permutation_[i]] = box.extent[i];
    }
    std::vector<std::byte> buffer(into.size());
    input_->read(source, buffer);
    const std::vector<int64_t> strides = row_major_strides(source.extent);
    const size_t size = size_of(dtype());
    std::vector<int64_t> index(rank, 0);
    for (size_t out = 0; out < into.size(); out += size) {
      int64_t offset = 0;
      for (size_t i = 0; i < rank; ++i) offset += index[i] * strides[permutation_[i]];
      std::memcpy(into.data() + out, buffer.data() + static_cast<size_t>(offset) * size, size);
      for (size_t i = rank; i-- > 0;) {
        if (++index[i] < box.extent[i]) break;
        index[i] = 0;
      }
    }
  }
  uint64_t identity() const override {
    return hash_combine(input_->identity(), hash_ints(permutation_, 6));
  }
  std::optional<Noise> noise() const override {
    std::optional<Noise> noise = input_->noise();
    if (!noise) return std::nullopt;
    for (NoiseBox& box : noise->boxes) {
      box.begin = permuted(box.begin);
      box.extent = permuted(box.extent);
      box.strides = permuted(box.strides);
    }
    return noise;
  }

 private:
  std::vector<int64_t> permuted(const std::vector<int64_t>& from) const {
    std::vector<int64_t> to;
    for (const int64_t d : permutation_) to.push_back(from[static_cast<size_t>(d)]);
    return to;
  }

  RecipePtr input_;
  std::vector<int64_t> permutation_;
};

class ReshapeRecipe final : public Recipe {
 public:
  ReshapeRecipe(RecipePtr input, std::vector<int64_t> shape)
      : Recipe(input->dtype(), std::move(shape)), input_(std::move(input)) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    const size_t size = size_of(dtype());
    std::byte* out = into.data();
    for_each_run(shape(), box, [&](int64_t offset, int64_t run) {
      read_range(offset, run, out);
      out += static_cast<size_t>(run) * size;
    });
  }
  uint64_t identity() const override {
    return hash_combine(input_->identity(), hash_ints(shape(), 7));
  }
  // Of what is dense: of other noise a reshape may have no strides.
  std::optional<Noise> noise() const override {
    std::optional<Noise> noise = input_->noise();
    if (!noise || noise->boxes.size() != 1) return std::nullopt;
    NoiseBox& box = noise->boxes[0];
    if (box.extent != input_->shape() || box.strides != row_major_strides(input_->shape())) {
      return std::nullopt;
    }
    box.begin.assign(shape().size(), 0);
    box.extent = shape();
    box.strides = row_major_strides(shape());
    return noise;
  }

 private:
  // Reads the elements [offset, offset + count) of the flattened input, as a few boxes: a ragged
  // head and tail and whole rows between, dimension by dimension.
  void read_range(int64_t offset, int64_t count, std::byte* out) const {
    const std::vector<int64_t> strides = row_major_strides(input_->shape());
    const size_t rank = input_->shape().size();
    const size_t size = size_of(dtype());
    while (count > 0) {
      // The outermost dimension whose stride divides both ends of a box that starts here.
      size_t d = rank;
      for (size_t i = 0; i < rank; ++i) {
        if (offset % strides[i] == 0 && strides[i] <= count) {
          d = i;
          break;
        }
      }
      Box box{std::vector<int64_t>(rank), std::vector<int64_t>(rank, 1)};
      int64_t rest = offset;
      for (size_t i = 0; i < rank; ++i) {
        box.begin[i] = rest / strides[i];
        rest %= strides[i];
      }
      int64_t taken = 1;
      if (d < rank) {
        const int64_t rows = std::min(count / strides[d], input_->shape()[d] - box.begin[d]);
        box.extent[d] = rows;
        for (size_t i = d + 1; i < rank; ++i) box.extent[i] = input_->shape()[i];
        taken = rows * strides[d];
      }
      input_->read(box, {out, static_cast<size_t>(taken) * size});
      out += static_cast<size_t>(taken) * size;
      offset += taken;
      count -= taken;
    }
  }

  RecipePtr input_;
};

class CastRecipe final : public Recipe {
 public:
  CastRecipe(RecipePtr input, DType to) : Recipe(to, input->shape()), input_(std::move(input)) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    HostTensor buffer(input_->dtype(), box.extent);
    input_->read(box, buffer.bytes);
    const HostTensor result = cleave::cast(buffer, dtype());
    std::copy(result.bytes.begin(), result.bytes.end(), into.begin());
  }
  uint64_t identity() const override {
    return hash_combine(input_->identity(), 8 + static_cast<uint64_t>(dtype()));
  }
  std::optional<Noise> noise() const override {
    std::optional<Noise> noise = is_floating(dtype()) ? input_->noise() : std::nullopt;
    if (noise) noise->types.push_back(dtype());
    return noise;
  }

 private:
  RecipePtr input_;
};

class ConcatRecipe final : public Recipe {
 public:
  ConcatRecipe(std::vector<RecipePtr> inputs, int64_t axis, std::vector<int64_t> shape)
      : Recipe(inputs[0]->dtype(), std::move(shape)), inputs_(std::move(inputs)), axis_(axis) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    const auto a = static_cast<size_t>(axis_);
    if (into.empty()) return;
    const size_t size = size_of(dtype());
    int64_t inner = 1;
    for (size_t i = a + 1; i < box.extent.size(); ++i) inner *= box.extent[i];
    int64_t rows = 1;
    for (size_t i = 0; i < a; ++i) rows *= box.extent[i];
    const size_t row_bytes = static_cast<size_t>(box.extent[a] * inner) * size;
    int64_t base = 0;
    for (const RecipePtr& input : inputs_) {
      const int64_t length = input->shape()[a];
      const int64_t from = std::max(box.begin[a], base);
      const int64_t to = std::min(box.begin[a] + box.extent[a], base + length);
      if (from < to) {
        Box part = box;
        part.begin[a] = from - base;
        part.extent[a] = to - from;
        const size_t part_row = static_cast<size_t>((to - from) * inner) * size;
        std::vector<std::byte> buffer(static_cast<size_t>(rows) * part_row);
        input->read(part, buffer);
        std::byte* out = into.data() + static_cast<size_t>((from - box.begin[a]) * inner) * size;
        for (int64_t r = 0; r < rows; ++r) {
          std::memcpy(out + static_cast<size_t>(r) * row_bytes,
                      buffer.data() + static_cast<size_t>(r) * part_row, part_row);
        }
      }
      base += length;
    }
  }
  uint64_t identity() const override {
    uint64_t h = 9 + static_cast<uint64_t>(axis_);
    for (const RecipePtr& input : inputs_) h = hash_combine(h, input->identity());
    return h;
  }
  std::optional<Noise> noise() const override {
    Noise joined;
    int64_t base = 0;
    for (const RecipePtr& input : inputs_) {
      std::optional<Noise> noise = input->noise();
      if (!noise || (!joined.types.empty() && joined.types != noise->types)) return std::nullopt;
      joined.types = noise->types;
      for (NoiseBox& box : noise->boxes) {
        box.begin[static_cast<size_t>(axis_)] += base;
        joined.boxes.push_back(std::move(box));
      }
      base += input->shape()[static_cast<size_t>(axis_)];
    }
    return joined;
  }

 private:
  std::vector<RecipePtr> inputs_;
  int64_t axis_;
};

class ScaleRecipe final : public Recipe {
 public:
  ScaleRecipe(RecipePtr input, int64_t axis, std::vector<double> factors)
      : Recipe(input->dtype(), input->shape()),
        input_(std::move(input)),
        axis_(axis),
        factors_(std::move(factors)) {}
  void read(const Box& box, std::span<std::byte> into) const override {
    input_->read(box, into);
    const auto a = static_cast<size_t>(axis_);
    int64_t inner = 1;
    for (size_t i = a + 1; i < box.extent.size(); ++i) inner *= box.extent[i];
    const std::span factors = std::span(factors_).subspan(static_cast<size_t>(box.begin[a]),
                                                          static_cast<size_t>(box.extent[a]));
    if (dtype() == DType::kFloat64) {
      multiply<double>(into, factors, static_cast<size_t>(inner));
    } else {
      multiply<float>(into, factors, static_cast<size_t>(inner));
    }
  }
  uint64_t identity() const override {
    const uint64_t seed = hash_ints({axis_}, 10);
    return hash_combine(input_->identity(), hash_bytes(std::as_bytes(std::span(factors_)), seed));
  }

 private:
  // Rows of `inner` elements, one factor each in turn.
  template <class T>
  static void multiply(std::span<std::byte> into, std::span<const double> factors, size_t inner) {
    std::byte* at = into.data();
    for (std::byte* const end = at + into.size(); at < end;) {
      for (const double factor : factors) {
        for (size_t i = 0; i < inner; ++i, at += sizeof(T)) {
          T element;
          std::memcpy(&element, at, sizeof element);
          element = static_cast<T>(element * factor);
          std::memcpy(at, &element, sizeof element);
        }
      }
    }
  }

  RecipePtr input_;
  int64_t axis_;
  std::vector<double> factors_;
};

}  // namespace

std::vector<Box> boxes_in_order(const std::vector<int64_t>& shape, int64_t most) {
  std::vector<Box> boxes;
  if (count_of(shape) == 0) return boxes;
  // Dimensions behind `cut` are whole in every box, those before it are 1.
  size_t cut = shape.size();
  int64_t inner = 1;
  while (cut > 0 && inner * shape[cut - 1] <= most) inner *= shape[--cut];
  Box box{std::vector<int64_t>(shape.size(), 0), shape};
  if (cut == 0) return {box};
  --cut;
  const int64_t rows = std::max<int64_t>(1, most / inner);
  std::fill(box.extent.begin(), box.extent.begin() + static_cast<std::ptrdiff_t>(cut), 1);
  while (true) {
    for (int64_t at = 0; at < shape[cut]; at += rows) {
      box.begin[cut] = at;
      box.extent[cut] = std::min(rows, shape[cut] - at);
      boxes.push_back(box);
    }
    size_t d = cut;
    while (d > 0 && ++box.begin[d - 1] == shape[d - 1]) box.begin[--d] = 0;
    if (d == 0) return boxes;
  }
}

int64_t Recipe::elements() const { return count_of(shape_); }

HostTensor Recipe::read_all() const {
  HostTensor result(dtype_, shape_);
  read({std::vector<int64_t>(shape_.size(), 0), shape_}, result.bytes);
  return result;
}

RecipePtr constant_value(HostTensor value) {
  return std::make_shared<ValueRecipe>(std::move(value));
}

RecipePtr constant_file(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype,
                        std::vector<int64_t> shape) {
  return std::make_shared<FileRecipe>(std::move(source), offset, dtype, std::move(shape));
}

RecipePtr constant_fill(DType dtype, std::vector<int64_t> shape, double value) {
  return std::make_shared<FillRecipe>(dtype, std::move(shape), value);
}

RecipePtr constant_noise(DType dtype, std::vector<int64_t> shape, uint64_t seed, double scale) {
  return std::make_shared<NoiseRecipe>(dtype, std::move(shape), seed, scale);
}

RecipePtr slice(RecipePtr input, Box box) {
  CLEAVE_CHECK(box.begin.size() == input->shape().size(), "slice: wrong rank");
  for (size_t i = 0; i < box.begin.size(); ++i) {
    CLEAVE_CHECK(box.begin[i] >= 0 && box.extent[i] >= 0 &&
                     box.begin[i] + box.extent[i] <= input->shape()[i],
                 "slice: out of range");
  }
  return std::make_shared<SliceRecipe>(std::move(input), std::move(box));
}

RecipePtr transpose(RecipePtr input, std::vector<int64_t> permutation) {
  std::vector<int64_t> shape;
  for (int64_t p : permutation) shape.push_back(input->shape().at(static_cast<size_t>(p)));
  return std::make_shared<TransposeRecipe>(std::move(input), std::move(permutation),
                                           std::move(shape));
}

RecipePtr reshape(RecipePtr input, std::vector<int64_t> shape) {
  CLEAVE_CHECK(count_of(shape) == input->elements(), "reshape: element counts differ");
  return std::make_shared<ReshapeRecipe>(std::move(input), std::move(shape));
}

RecipePtr cast(RecipePtr input, DType to) {
  if (input->dtype() == to) return input;
  return std::make_shared<CastRecipe>(std::move(input), to);
}

RecipePtr concat(std::vector<RecipePtr> inputs, int64_t axis) {
  CLEAVE_CHECK(!inputs.empty(), "concat of nothing");
  std::vector<int64_t> shape = inputs[0]->shape();
  for (size_t i = 1; i < inputs.size(); ++i) {
    shape.at(static_cast<size_t>(axis)) += inputs[i]->shape().at(static_cast<size_t>(axis));
  }
  return std::make_shared<ConcatRecipe>(std::move(inputs), axis, std::move(shape));
}

RecipePtr scale(RecipePtr input, int64_t axis, std::vector<double> factors) {
  CLEAVE_CHECK(input->dtype() == DType::kFloat32 || input->dtype() == DType::kFloat64,
               "scale: neither f32 nor f64");
  CLEAVE_CHECK(static_cast<int64_t>(factors.size()) == input->shape().at(static_cast<size_t>(axis)),
               "scale: not one factor an index");
  return std::make_shared<ScaleRecipe>(std::move(input), axis, std::move(factors));
}

}  // namespace cleave::ir
