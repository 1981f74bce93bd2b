// TensorType: element type and shape of a value.
#pragma once

#include <string>
#include <utility>

#include "types/dim.h"
#include "types/dtype.h"

namespace cleave {

struct TensorType {
  DType dtype = DType::kFloat32;
  Shape shape;

  size_t rank() const { return shape.size(); }
  Dim elements() const { return product(shape); }
  Dim bytes() const { return elements() * static_cast<int64_t>(size_of(dtype)); }
  std::string text() const { return std::string(name_of(dtype)) + text_of(shape); }
  bool operator==(const TensorType&) const = default;
};

}  // namespace cleave
