#include "ops/elementwise/cuda_tiles.h"

#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "ops/elementwise/cuda_element.h"

namespace cleave::backend {
namespace {

constexpr int64_t kLeastTile = 8;           // a matrix of fewer rows or columns has no tiles
constexpr int64_t kSharedBytes = 48 << 10;  // that a block may have
constexpr int kThreads = 256;

Lie lie_of(int64_t row_stride, int64_t column_stride) {
  if (column_stride == 0) return Lie::kSame;  // for all columns
  if (column_stride == 1) return Lie::kAlongColumns;
  return row_stride == 1 ? Lie::kAlongRows : Lie::kApart;
}

// The dimension along which an input lies without gaps that does not lie so along the last.
std::optional<size_t> row_dimension_of(const IndexSpace& space, size_t inputs) {
  const size_t dims = space.extents.size();
  if (dims < 2 || space.extents.back() < kLeastTile) return std::nullopt;
  for (size_t o = inputs; o < space.strides.size(); ++o) {
    if (space.strides[o].back() != 1) return std::nullopt;
  }
  for (size_t i = 0; i < inputs; ++i) {
    const std::vector<int64_t>& strides = space.strides[i];
    if (strides.back() == 0 || strides.back() == 1) continue;
    for (size_t d = 0; d + 1 < dims; ++d) {
      if (strides[d] == 1 && space.extents[d] >= kLeastTile) return d;
    }
  }
  return std::nullopt;
}

int64_t shared_bytes(const IndexSpace& space, const std::vector<DType>& inputs, size_t rows,
                     int64_t together) {
  const int64_t side = 32 * together;
  int64_t bytes = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (lie_of(space.strides[i][rows], space.strides[i].back()) != Lie::kAlongRows) continue;
    bytes += side * (side + together) * static_cast<int64_t>(size_of(inputs[i])) + 16;
  }
  return bytes;
}

// How many elements all operands have one behind the other wherever they are read at once: two
// where some are small, so that a warp fills memory's lines.
int64_t together_of(const IndexSpace& space, const std::vector<DType>& types,
                    const std::vector<int64_t>& alignments, size_t rows) {
  const auto is_small = [](DType type) { return size_of(type) < 4; };
  if (std::none_of(types.begin(), types.end(), is_small)) return 1;
  int64_t together = std::gcd(int64_t{2}, std::gcd(space.extents[rows], space.extents.back()));
  const size_t last = space.extents.size() - 1;
  for (size_t o = 0; o < space.strides.size(); ++o) {
    const std::vector<int64_t>& strides = space.strides[o];
    const Lie lie = lie_of(strides[rows], strides[last]);
    if (lie == Lie::kSame || lie == Lie::kApart) continue;
    together = std::gcd(together, alignments[o] / static_cast<int64_t>(size_of(types[o])));
    const size_t along = lie == Lie::kAlongRows ? rows : last;
    for (size_t d = 0; d <= last; ++d) {
      if (d != along) together = std::gcd(together, strides[d]);
    }
  }
  return together;
}

IndexSpace matrices_of(IndexSpace space, size_t rows) {
  space.elements /= std::max<int64_t>(1, space.extents[rows] * space.extents.back());
  const auto drop = [&](std::vector<int64_t>& list) {
    list.pop_back();
    list.erase(list.begin() + static_cast<ptrdiff_t>(rows));
  };
  drop(space.extents);
  for (auto& strides : space.strides) drop(strides);
  return space;
}

}  // namespace

TiledChain::TiledChain(const IndexSpace& space, size_t row_dimension)
    : rows_(space.extents[row_dimension]),
      columns_(space.extents.back()),
      matrices_(space.elements / (rows_ * columns_)),
      space_(matrices_of(space, row_dimension), space.extents.size() - 2) {
  for (const auto& strides : space.strides) strides_.push_back(strides[row_dimension]);
  for (const auto& strides : space.strides) strides_.push_back(strides.back());
}

std::optional<TiledChain> TiledChain::of(const FusedProgram& program, const IndexSpace& space,
                                         const std::vector<DType>& inputs,
                                         const std::vector<DType>& outputs,
                                         const std::vector<int64_t>& alignments, int64_t rank,
                                         CudaDevice& device) {
  const auto rows = row_dimension_of(space, inputs.size());
  if (!rows || shared_bytes(space, inputs, *rows, 1) > kSharedBytes) return std::nullopt;
  std::vector<DType> types = inputs;
  types.insert(types.end(), outputs.begin(), outputs.end());
  int64_t together = together_of(space, types, alignments, *rows);
  if (shared_bytes(space, inputs, *rows, together) > kSharedBytes) together = 1;
  TiledChain tiles(space, *rows);
  tiles.compile(program, inputs, outputs, together, rank, device);
  return tiles;
}

std::string tiled_chain_source(const FusedProgram& program, const std::vector<DType>& inputs,
                               const std::vector<DType>& outputs, const std::vector<Lie>& lies,
                               int64_t together, int64_t rank) {
  const size_t operands = inputs.size() + outputs.size();
  std::string parameters;
  std::string tiles;
  std::string declarations;
  std::string early;
  std::string reads;
  std::string writes;
  std::vector<std::string> elements;
  for (size_t i = 0; i < operands; ++i) {
    const bool input = i < inputs.size();
    const std::string n = std::to_string(i);
    const std::string type = device_type(input ? inputs[i] : outputs[i - inputs.size()]);
    const std::string vector = "Vector<" + type + ", " + std::to_string(together) + ">";
    const std::string tile = "p" + n + " + at[" + n + "]";
    const std::string row = tile + " + r * strides.row[" + n + "]";
    const std::string step = "strides.column[" + n + "]";
    const std::string name = "    const " + vector + " x" + n + " = ";
    parameters += std::string(", ") + (input ? "const " : "") + type + "* p" + n;
    if (!input) {
      writes += "    *reinterpret_cast<" + vector + "*>(" + row + " + place.lane) = y" +
                std::to_string(i - inputs.size()) + ";\n";
      continue;
    }
    elements.push_back("x" + n + (lies[i] == Lie::kSame ? "" : ".at[e]"));
    if (lies[i] == Lie::kAlongRows) {
      tiles += "  __shared__ __align__(16) Tile<" + type + "> t" + n + ";\n  t" + n +
               ".load(place, " + tile + ", " + step + ");\n";
      reads += "    const " + vector + " x" + n + " = t" + n + ".columns(place, r);\n";
      continue;
    }
    // What is read where it lies is on its way before the tiles are there.
    std::string value = "*reinterpret_cast<const " + vector + "*>(" + row + " + place.lane)";
    if (lies[i] == Lie::kSame) value = "*(" + row + ")";
    if (lies[i] == Lie::kApart)
      value = "apart(" + row + " + place.lane * " + step + ", " + step + ")";
    const std::string& held = lies[i] == Lie::kSame ? type : vector;
    declarations += "  " + held + " h" + n + "[kRows];\n";
    early += "    h" + n + "[j] = " + value + ";\n";
    reads += "    const " + held + "& x" + n + " = h" + n + "[j];\n";
  }
  const std::string count = std::to_string(operands);
  const std::string each_row =
      "#pragma unroll\n  for (int j = 0; j < kRows; ++j) {\n"
      "    const int r = place.line + j * kLines;\n"
      "    if (place.lane >= place.columns || r >= place.rows) continue;\n";
  return "constexpr int kTogether = " + std::to_string(together) + ";\n" +
         std::string(device_source("element_tiles")) + chain_source(program, inputs, rank) +
         "extern \"C\" __global__ void __launch_bounds__(256) elementwise_tiles(const Space<" +
         count + "> matrices, const TileGrid grid, const TileStrides<" + count + "> strides" +
         parameters + ") {\n  const TilePlace place(grid);\n  int64_t at[" + count +
         "];\n  matrices.locate(place.matrix, at);\n#pragma unroll\n  for (int i = 0; i < " +
         count +
         "; ++i) at[i] += place.row * strides.row[i] + place.column * strides.column[i];\n" +
         declarations + each_row + early + "  }\n" + tiles + "  __syncthreads();\n" + each_row +
         reads + chain_loop(program, inputs, outputs, elements, together) + writes + "  }\n}\n";
}

void TiledChain::compile(const FusedProgram& program, const std::vector<DType>& inputs,
                         const std::vector<DType>& outputs, int64_t together, int64_t rank,
                         CudaDevice& device) {
  const size_t operands = inputs.size() + outputs.size();
  std::vector<Lie> lies;
  for (size_t i = 0; i < operands; ++i) {
    lies.push_back(lie_of(strides_[i], strides_[operands + i]));
    const DType type = i < inputs.size() ? inputs[i] : outputs[i - inputs.size()];
    const bool is_vector = lies[i] == Lie::kAlongColumns || lies[i] == Lie::kAlongRows;
    alignments_.push_back(is_vector ? together * static_cast<int64_t>(size_of(type)) : 1);
  }
  const std::string source = tiled_chain_source(program, inputs, outputs, lies, together, rank);
  kernel_ = device.modules().get(source, "elementwise_tiles");
  const int64_t side = 32 * together;
  const int64_t row_tiles = (rows_ + side - 1) / side;
  const int64_t column_tiles = (columns_ + side - 1) / side;
  grid_ = {make_divisor(row_tiles), make_divisor(column_tiles), rows_, columns_};
  blocks_ = matrices_ * row_tiles * column_tiles;
}

void TiledChain::run(const std::vector<const void*>& pointers, StreamHandle stream) const {
  for (size_t i = 0; i < pointers.size(); ++i) check_aligned({pointers[i]}, alignments_[i]);
  std::vector<const void*> arguments = {space_.data(), &grid_, strides_.data()};
  for (const void* const& pointer : pointers) arguments.push_back(&pointer);
  launch_kernel(kernel_, {.blocks = blocks_, .threads = kThreads}, stream, arguments);
}

}  // namespace cleave::backend
