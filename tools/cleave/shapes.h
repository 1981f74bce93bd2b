// What options say about sizes: shapes by name, amounts of memory, meshes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cleave::cli {

using NamedShape = std::pair<std::string, std::vector<int64_t>>;
using NamedShapes = std::vector<NamedShape>;

// "x:1x128,mask:1x128"; a name may hold colons, "x:" is a scalar. `option` is how errors name it.
// Error(kUsage).
NamedShapes parse_shapes(std::string_view option, std::string_view text);
// "x:1x128,..."
std::string shapes_text(const NamedShapes& shapes);
// Null where there is none.
const std::vector<int64_t>* find_shape(const NamedShapes& shapes, std::string_view name);

// "16GiB", "1.5 GB", "65536" (bytes). Error(kUsage).
int64_t parse_bytes(std::string_view option, std::string_view text);

// Checks "2x4" against the number of devices. Error(kUsage) where it does not fit them,
// Error(kUnsupported) for more than one axis.
void check_mesh(std::string_view text, size_t devices);

}  // namespace cleave::cli
