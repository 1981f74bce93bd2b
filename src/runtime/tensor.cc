#include "cleave/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "cleave/error.h"
#include "types/dim.h"
#include "types/dtype.h"

namespace cleave {
namespace {

// Kernels like their data aligned to a cache line. What is large begins with a huge page: a result
// is fresh memory, and the system hands out small pages one by one.
constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLarge = 2 * kHugePage;

size_t bytes_of(DType dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  for (const int64_t extent : shape) {
    if (extent < 0) throw Error(ErrorCode::kInvalid, "a tensor has a negative extent");
    bytes = checked_mul(bytes, extent);
  }
  return static_cast<size_t>(bytes);
}

std::shared_ptr<std::byte[]> allocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  const std::align_val_t alignment{bytes < kLarge ? kCacheLine : kHugePage};
  void* memory = ::operator new(bytes, alignment, std::nothrow);
  if (memory == nullptr) {
    throw Error(ErrorCode::kOutOfMemory,
                "there is no host memory for a tensor of " + std::to_string(bytes) + " bytes");
  }
#ifdef MADV_HUGEPAGE
  // A hint: failure changes nothing.
  if (bytes >= kLarge) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return {static_cast<std::byte*>(memory),
          [alignment](std::byte* data) { ::operator delete(data, alignment); }};
}

}  // namespace

Tensor::Tensor(DType dtype, std::vector<int64_t> shape)
    : Tensor(uninitialized(dtype, std::move(shape))) {
  if (bytes_ != 0) std::memset(data_, 0, bytes_);
}

Tensor Tensor::uninitialized(DType dtype, std::vector<int64_t> shape, const Allocate& given) {
  Tensor tensor;
  tensor.bytes_ = bytes_of(dtype, shape);
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  if (given) tensor.memory_ = given(tensor.bytes_);
  if (tensor.memory_ == nullptr) tensor.memory_ = allocate(tensor.bytes_);
  tensor.data_ = tensor.memory_.get();
  return tensor;
}

Tensor Tensor::mutable_view(DType dtype, std::vector<int64_t> shape, std::span<std::byte> memory) {
  Tensor tensor;
  tensor.bytes_ = bytes_of(dtype, shape);
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  if (tensor.bytes_ != memory.size()) {
    throw Error(ErrorCode::kInvalid, "a tensor " + tensor.type_text() + " needs " +
                                         std::to_string(tensor.bytes_) + " bytes, not " +
                                         std::to_string(memory.size()));
  }
  tensor.data_ = memory.data();
  return tensor;
}

Tensor Tensor::view(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> memory) {
  // Never written through: `writable_` sees to that.
  Tensor tensor =
      mutable_view(dtype, std::move(shape), {const_cast<std::byte*>(memory.data()), memory.size()});
  tensor.writable_ = false;
  return tensor;
}

int64_t Tensor::elements() const { return static_cast<int64_t>(bytes_ / size_of(dtype_)); }

std::byte* Tensor::mutable_data() {
  if (memory_ ? memory_.use_count() > 1 : !writable_) *this = copy();
  return data_;
}

Tensor Tensor::copy() const {
  Tensor result = uninitialized(dtype_, shape_);
  if (bytes_ != 0) std::memcpy(result.data_, data_, bytes_);
  return result;
}

std::string Tensor::type_text() const {
  return std::string(name_of(dtype_)) + text_of(std::vector<Dim>(shape_.begin(), shape_.end()));
}

void Tensor::require_type(DType wanted) const {
  const bool bits =
      wanted == DType::kUInt16 && (dtype_ == DType::kFloat16 || dtype_ == DType::kBFloat16);
  if (dtype_ == wanted || bits) return;
  throw Error(ErrorCode::kInvalid,
              "a tensor of " + std::string(name_of(dtype_)) + " is not one of " +
                  std::string(name_of(wanted)),
              "ask for its own element type");
}

TensorMap::TensorMap(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) {
    if (contains(entry.first)) {
      throw Error(ErrorCode::kInvalid, "two tensors have the name '" + entry.first + "'");
    }
    entries_.push_back(entry);
  }
}

void TensorMap::set(std::string_view name, Tensor tensor) {
  for (Entry& entry : entries_) {
    if (entry.first == name) {
      entry.second = std::move(tensor);
      return;
    }
  }
  entries_.emplace_back(name, std::move(tensor));
}

const Tensor* TensorMap::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

const Tensor& TensorMap::at(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  std::string names;
  for (const Entry& entry : entries_) names += (names.empty() ? "" : ", ") + entry.first;
  throw Error(ErrorCode::kInvalid, "there is no tensor '" + std::string(name) + "'",
              entries_.empty() ? "there are none" : "there are: " + names);
}

}  // namespace cleave
