// Copies between views of one shape on a GPU: whole vectors where both sides allow it, tiles where
// rows become columns.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/launch.h"
#include "backend/index_space.h"

namespace cleave::backend {

// One copy between operands: their first elements lie `from_offset` and `to_offset` elements on.
struct CopyPiece {
  size_t input = 0;
  size_t output = 0;
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  IndexSpace space;  // of the source and the target; the source's strides may be 0 or negative
};

// Why device code does not make the copies; nothing where it does.
std::optional<std::string> refuse_copies(const std::vector<CopyPiece>& pieces);

class CudaCopies {
 public:
  // Of elements of `size` bytes (1, 2, 4 or 8). The device must outlive it.
  CudaCopies(std::vector<CopyPiece> pieces, size_t size, CudaDevice& device);
  ~CudaCopies();
  CudaCopies(CudaCopies&&) noexcept;

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           StreamHandle stream) const;

 private:
  class Strided;
  class Transposed;
  std::vector<std::shared_ptr<const Strided>> strided_;
  std::vector<std::shared_ptr<const Transposed>> transposed_;
};

}  // namespace cleave::backend
