// Views: results that need no copy, because a stride or an offset says where their elements lie in
// another tensor.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "capabilities/capabilities.h"
#include "ops/registry.h"

namespace cleave::capabilities {

// Where the elements of a value lie in the memory of another value, its base.
struct View {
  ir::ValueId base;
  Dim offset = 0;            // of the first element, in elements
  std::vector<Dim> strides;  // in elements, one a dimension
  uint32_t copy = 0;         // which copy of the base; 0: what its producer made
};

// Row-major without gaps, apart from where it begins; dimensions of size 1 do not matter.
bool is_dense(const View& view, std::span<const Dim> shape);
// The same in a format.
bool has_format(Format format, const View& view, std::span<const Dim> shape);
// The first of all formats that it has; row-major where it has none.
Format format_of(const View& view, std::span<const Dim> shape);

// Ops whose results may be views.
bool is_view_op(std::string_view op);

// The view that output `output` of `node` is of its input, given the input's own view; nullopt
// where the op moves data.
std::optional<View> view_of(const ir::Graph& graph, const ir::Node& node, size_t output,
                            const View& input);

// The format in which the kernel of `op` reads operand `input` where it writes its result in
// `result`.
Format format_read(const Capabilities& capabilities, std::string_view op, size_t input,
                   Format result);
// True where it reads the operand as it lies.
bool reads(const Capabilities& capabilities, std::string_view op, size_t input, const View& view,
           std::span<const Dim> shape, Format result = Format::kRowMajor);

}  // namespace cleave::capabilities
