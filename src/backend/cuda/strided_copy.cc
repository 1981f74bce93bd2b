#include "backend/cuda/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/space.h"
#include "base/check.h"

namespace cleave::backend {
namespace {

constexpr int64_t kVectorBytes = 16;
constexpr size_t kMostPieces = 8;  // in a call: its arguments stay below 4 KB
constexpr int64_t kThreads = 256;
constexpr int64_t kBlockElements = kThreads * 4;  // device/strided_copy.cuh: kEach
constexpr int64_t kLeastTile = 8;                 // a matrix of fewer rows or columns has no tiles

const std::byte* from_of(const CopyPiece& piece, std::span<const void* const> inputs,
                         int64_t size) {
  return static_cast<const std::byte*>(inputs[piece.input]) + piece.from_offset * size;
}
std::byte* to_of(const CopyPiece& piece, std::span<void* const> outputs, int64_t size) {
  return static_cast<std::byte*>(outputs[piece.output]) + piece.to_offset * size;
}

bool is_multiple(const void* pointer, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(bytes) == 0;
}

// The type of so many bytes in device code.
std::string unit_type(int64_t bytes) {
  if (bytes == kVectorBytes) return "Vector<uint64_t, 2>";
  return "uint" + std::to_string(bytes * 8) + "_t";
}

// How many elements of a piece both sides hold one behind the other, wherever a row begins: a power
// of two, within a vector.
int64_t elements_together(const CopyPiece& piece, int64_t size, bool repeated) {
  const IndexSpace& space = piece.space;
  if (space.extents.empty()) return 1;
  const int64_t along = space.strides[0].back();
  if (space.strides[1].back() != 1 || along != (repeated ? 0 : 1)) return 1;
  int64_t count = std::gcd(kVectorBytes / size, space.extents.back());
  for (size_t i = repeated ? 1 : 0; i < 2; ++i) {
    for (size_t d = 0; d + 1 < space.extents.size(); ++d) {
      count = std::gcd(count, space.strides[i][d]);
    }
  }
  return count;
}

// The dimension along which the source of a piece lies without gaps, where it is not the target's.
std::optional<size_t> transposed_dimension(const CopyPiece& piece) {
  const IndexSpace& space = piece.space;
  const size_t dims = space.extents.size();
  if (dims < 2 || space.strides[1].back() != 1 || space.extents.back() < kLeastTile) {
    return std::nullopt;
  }
  if (space.strides[0].back() == 1 || space.strides[0].back() == 0) return std::nullopt;
  for (size_t d = 0; d + 1 < dims; ++d) {
    if (space.strides[0][d] == 1 && space.extents[d] >= kLeastTile) return d;
  }
  return std::nullopt;
}

}  // namespace

// Pieces that one kernel copies in as few calls as its arguments allow.
class CudaCopies::Strided {
 public:
  Strided(std::vector<CopyPiece> pieces, int64_t size, CudaDevice& device)
      : pieces_(std::move(pieces)), size_(size) {
    CLEAVE_CHECK(!pieces_.empty() && pieces_.size() <= kMostPieces, "so many pieces in a call");
    // A single piece may be an element that is repeated.
    repeated_ = pieces_.size() == 1 && elements_together(pieces_[0], size_, true) > 1;
    int64_t together = kVectorBytes / size_;
    for (const CopyPiece& piece : pieces_) {
      together = std::gcd(together, elements_together(piece, size_, repeated_));
    }
    if (!repeated_) {
      for (const CopyPiece& piece : pieces_) {
        together = std::gcd(together, std::gcd(piece.from_offset, piece.to_offset));
      }
    }
    plain_ = make(1, device);
    if (together > 1) wide_ = make(together, device);
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           StreamHandle stream) const {
    bool wide = wide_.has_value();
    for (const CopyPiece& piece : pieces_) {
      const int64_t bytes = wide ? wide_->together * size_ : 1;
      wide = wide && is_multiple(to_of(piece, outputs, size_), bytes) &&
             (repeated_ || is_multiple(from_of(piece, inputs, size_), bytes));
    }
    const Form& form = wide ? *wide_ : *plain_;
    std::vector<Argument> arguments = form.arguments;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      arguments[i].from = from_of(pieces_[i], inputs, size_);
      arguments[i].to = to_of(pieces_[i], outputs, size_);
    }
    const auto count = static_cast<int32_t>(pieces_.size());
    launch_kernel(form.kernel, {.blocks = form.blocks, .threads = kThreads}, stream,
                  {arguments.data(), &count});
  }

 private:
  // A CopyPiece of device code.
  struct Argument {
    std::byte space[sizeof(int64_t) * 14 + sizeof(int64_t) * 2 * kMostDims];
    const void* from;
    void* to;
    int64_t first_block;
  };
  struct Form {
    cudaKernel_t kernel;
    int64_t together;
    int64_t blocks;
    std::vector<Argument> arguments;
  };

  // With so many elements at once.
  Form make(int64_t together, CudaDevice& device) const {
    Form form{nullptr, together, 0, {}};
    for (const CopyPiece& piece : pieces_) {
      IndexSpace space = piece.space;
      if (together > 1) {
        space.extents.back() /= together;
        space.elements /= together;
        // Strides count what is read at once; of the target of a repeated element, elements.
        for (size_t i = 0; i < 2; ++i) {
          for (size_t d = 0; d < space.extents.size(); ++d) {
            int64_t& stride = space.strides[i][d];
            const bool last = d + 1 == space.extents.size();
            if (repeated_ ? i == 1 && last : !last) {
              stride = repeated_ ? stride * together : stride / together;
            }
          }
        }
      }
      const SpaceArgument laid_out(space, space.extents.size());
      Argument argument = {};
      CLEAVE_CHECK(laid_out.size() == sizeof argument.space, "a space of two operands");
      std::memcpy(argument.space, laid_out.data(), laid_out.size());
      argument.first_block = form.blocks;
      form.blocks += (space.elements + kBlockElements - 1) / kBlockElements;
      form.arguments.push_back(argument);
    }
    const size_t most = pieces_.size() == 1 ? 1 : kMostPieces;
    form.arguments.resize(most);
    const std::string prefix =
        "using T = " + unit_type(repeated_ ? size_ : size_ * together) +
        ";\nconstexpr int kRepeat = " + std::to_string(repeated_ ? together : 1) +
        ";\nconstexpr int kPieces = " + std::to_string(most) + ";\n";
    form.kernel =
        device.modules().get(prefix + std::string(device_source("strided_copy")), "strided_copy");
    return form;
  }

  std::vector<CopyPiece> pieces_;
  int64_t size_;
  bool repeated_ = false;
  std::optional<Form> plain_;
  std::optional<Form> wide_;
};

// One piece whose rows become columns.
class CudaCopies::Transposed {
 public:
  Transposed(CopyPiece piece, size_t row_dimension, int64_t size, CudaDevice& device)
      : piece_(std::move(piece)), size_(size), matrices_(piece_.space, 0) {
    IndexSpace space = piece_.space;
    rows_ = space.extents[row_dimension];
    columns_ = space.extents.back();
    from_stride_ = space.strides[0].back();
    to_stride_ = space.strides[1][row_dimension];
    const auto drop = [&](std::vector<int64_t>& list) {
      list.pop_back();
      list.erase(list.begin() + static_cast<ptrdiff_t>(row_dimension));
    };
    drop(space.extents);
    for (auto& strides : space.strides) drop(strides);
    matrices_ = SpaceArgument(space, space.extents.size());
    const int64_t matrices = space.elements / (rows_ * columns_);
    group_ = std::max<int64_t>(1, 4 / size_);
    for (int64_t value :
         {rows_, columns_, from_stride_, to_stride_, piece_.from_offset, piece_.to_offset}) {
      group_ = std::gcd(group_, value);
    }
    for (const auto& strides : space.strides) {
      for (int64_t stride : strides) group_ = std::gcd(group_, stride);
    }
    plain_ = make(1, matrices, device);
    if (group_ > 1) wide_ = make(group_, matrices, device);
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           StreamHandle stream) const {
    const void* from = from_of(piece_, inputs, size_);
    void* to = to_of(piece_, outputs, size_);
    const bool wide = wide_ && is_multiple(from, group_ * size_) && is_multiple(to, group_ * size_);
    const Form& form = wide ? *wide_ : *plain_;
    launch_kernel(form.kernel, {.blocks = form.blocks, .threads = kThreads}, stream,
                  {matrices_.data(), &form.row_tiles, &form.column_tiles, &rows_, &columns_,
                   &from_stride_, &to_stride_, &from, &to});
  }

 private:
  struct Form {
    cudaKernel_t kernel;
    Divisor row_tiles;
    Divisor column_tiles;
    int64_t blocks;
  };

  Form make(int64_t group, int64_t matrices, CudaDevice& device) const {
    const int64_t side = 32 * group;
    const int64_t row_tiles = (rows_ + side - 1) / side;
    const int64_t column_tiles = (columns_ + side - 1) / side;
    const std::string prefix = "using T = " + unit_type(size_) +
                               ";\nconstexpr int kGroup = " + std::to_string(group) + ";\n";
    return {device.modules().get(prefix + std::string(device_source("transpose_tiles")),
                                 "transpose_tiles"),
            make_divisor(row_tiles), make_divisor(column_tiles),
            matrices * row_tiles * column_tiles};
  }

  CopyPiece piece_;
  int64_t size_;
  SpaceArgument matrices_;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  int64_t from_stride_ = 0;
  int64_t to_stride_ = 0;
  int64_t group_ = 1;
  std::optional<Form> plain_;
  std::optional<Form> wide_;
};

std::optional<std::string> refuse_copies(const std::vector<CopyPiece>& pieces) {
  for (const CopyPiece& piece : pieces) {
    if (auto reason = refuse_space(piece.space)) return reason;
  }
  return std::nullopt;
}

CudaCopies::CudaCopies(std::vector<CopyPiece> pieces, size_t size, CudaDevice& device) {
  const auto bytes = static_cast<int64_t>(size);
  std::vector<CopyPiece> group;
  const auto finish = [&] {
    if (group.empty()) return;
    strided_.push_back(std::make_shared<const Strided>(std::exchange(group, {}), bytes, device));
  };
  for (CopyPiece& piece : pieces) {
    if (piece.space.elements == 0) continue;
    if (const auto rows = transposed_dimension(piece)) {
      transposed_.push_back(
          std::make_shared<const Transposed>(std::move(piece), *rows, bytes, device));
      continue;
    }
    group.push_back(std::move(piece));
    if (group.size() == kMostPieces) finish();
  }
  finish();
}

CudaCopies::~CudaCopies() = default;
CudaCopies::CudaCopies(CudaCopies&&) noexcept = default;

void CudaCopies::run(std::span<const void* const> inputs, std::span<void* const> outputs,
                     StreamHandle stream) const {
  for (const auto& copy : strided_) copy->run(inputs, outputs, stream);
  for (const auto& copy : transposed_) copy->run(inputs, outputs, stream);
}

}  // namespace cleave::backend
