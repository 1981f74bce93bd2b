// Ops that reach single elements or rows by indices that are data. What lies outside of the tensor,
// which ONNX leaves undefined, gathers 0 and scatters nothing.
#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// Indices may cover less of a dimension than the data does; the IR's cover all but the axis.
struct Covered {
  size_t axis;
  Shape extent;  // the part of the data that they cover, the axis whole
  bool is_all = true;

  explicit Covered(Conversion& c) : axis(c.axis("axis", c.rank(0), 0)), extent(c.type(0).shape) {
    const Shape& indices = c.type(1).shape;
    if (indices.size() != extent.size()) {
      throw Error(ErrorCode::kInvalid,
                  "indices " + c.type(1).text() + " of another rank than " + c.type(0).text());
    }
    for (size_t d = 0; d < extent.size(); ++d) {
      if (d == axis || provably_equal(extent[d], indices[d]) != std::optional(false)) continue;
      if (provably_less(extent[d], indices[d]) == std::optional(true)) {
        throw Error(ErrorCode::kInvalid,
                    "indices " + c.type(1).text() + " beyond the data " + c.type(0).text());
      }
      extent[d] = indices[d];
      is_all = false;
    }
  }
  Attributes attributes() const { return {{"axis", Dim(static_cast<int64_t>(axis))}}; }
};

void gather_elements(Conversion& c) {
  const Covered covered(c);
  const ir::ValueId data = c.part(c.input(0), Shape(covered.extent.size()), covered.extent);
  c.output(0, c.emit("gather_elements", {data, c.input(1)}, covered.attributes()));
}

void set_reduction(Conversion& c, Attributes& attributes) {
  const std::string name = c.version() < 16 ? "none" : c.string("reduction", "none");
  if (name == "none") return;
  for (const auto& [theirs, ours] : std::initializer_list<std::pair<const char*, const char*>>{
           {"add", "sum"}, {"mul", "prod"}, {"max", "max"}, {"min", "min"}}) {
    if (name == theirs) return attributes.set("reduce", ours);
  }
  throw Error(ErrorCode::kInvalid, "there is no reduction '" + name + "'");
}

// Where indices cover less than the data, the rest gets indices that are outside.
void scatter_elements(Conversion& c) {
  const Covered covered(c);
  ir::ValueId indices = c.input(1);
  ir::ValueId updates = c.input(2);
  if (!covered.is_all) {
    const Shape& whole = c.type(0).shape;
    std::vector<Dim> high(whole.size());
    for (size_t d = 0; d < whole.size(); ++d) {
      if (d != covered.axis) high[d] = whole[d] - covered.extent[d];
    }
    const auto padded = [&](ir::ValueId x, double value) {
      return c.help("pad", {x},
                    {{"low", std::vector<Dim>(whole.size())}, {"high", high}, {"value", value}});
    };
    indices = padded(indices, INT32_MAX);
    updates = padded(updates, 0);
  }
  Attributes attributes = covered.attributes();
  set_reduction(c, attributes);
  c.output(0, c.emit("scatter_elements", {c.input(0), indices, updates}, std::move(attributes)));
}

void gather_nd(Conversion& c) {
  const int64_t batch_dims = c.version() < 12 ? 0 : c.integer("batch_dims", 0);
  c.output(0, c.emit("gather_nd", {c.input(0), c.input(1)}, {{"batch_dims", Dim(batch_dims)}}));
}

void scatter_nd(Conversion& c) {
  Attributes attributes;
  set_reduction(c, attributes);
  c.output(0, c.emit("scatter_nd", {c.input(0), c.input(1), c.input(2)}, std::move(attributes)));
}

}  // namespace

void add_indexing_converters(ConverterTable& table) {
  table.add("GatherElements", 11, gather_elements);
  table.add("GatherND", 11, gather_nd);
  table.add("Scatter", 9, scatter_elements);
  table.add("ScatterElements", 11, scatter_elements);
  table.add("ScatterND", 11, scatter_nd);
}

}  // namespace cleave::onnx
