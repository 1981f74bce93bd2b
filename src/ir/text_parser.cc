#include "ir/text.h"
#include "ir/text_cursor.h"

namespace cleave::ir {
namespace {

constexpr int kDeepest = 16;  // regions in regions

// A type's shape in numbers, and no more elements than can be counted in bytes.
std::vector<int64_t> constant_shape(const TensorType& type) {
  std::vector<int64_t> shape;
  int64_t bytes = static_cast<int64_t>(size_of(type.dtype));
  for (const Dim& extent : type.shape) {
    const auto number = extent.as_constant();
    if (!number || *number < 0)
      syntax_error("the shape of a constant is no list of sizes: " + type.text());
    shape.push_back(*number);
    bytes = checked_mul(bytes, std::max<int64_t>(*number, 1));
  }
  return shape;
}

class Parser {
 public:
  Parser(std::string_view text, const FindConstant& find) : rest_(text), find_(find) {}

  Graph parse() {
    try {
      next_line();
      Cursor cursor(line_);
      cursor.expect("graph {");
      cursor.expect_end();
      Graph graph = body(0);
      if (next_line()) syntax_error("text behind the graph");
      return graph;
    } catch (Error& error) {
      throw Error(ErrorCode::kInvalid, error.message(), error.hint())
          .at("line " + std::to_string(line_number_));
    }
  }

 private:
  using Names = std::map<std::string, ValueId, std::less<>>;

  // What is known of the graph that is being read.
  struct Scope {
    Graph graph;
    Names values;
    std::set<std::string> nodes;
    NodeId last;  // which regions belong to
  };

  // Moves to the next line that is not empty; false at the end.
  bool next_line() {
    while (!rest_.empty()) {
      const size_t end = rest_.find('\n');
      line_ = rest_.substr(0, end);
      rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
      ++line_number_;
      while (line_.ends_with('\r') || line_.ends_with(' ')) line_.remove_suffix(1);
      while (line_.starts_with(' ')) line_.remove_prefix(1);
      if (!line_.empty()) return true;
    }
    line_ = {};
    return false;
  }

  // The lines up to the closing brace.
  Graph body(int depth) {
    if (depth > kDeepest) syntax_error("regions are nested too deeply");
    Scope scope;
    while (next_line()) {
      Cursor cursor(line_);
      if (cursor.accept("return")) {
        outputs(cursor, scope);
        if (!next_line() || line_ != "}") syntax_error("expected '}' behind return");
        return std::move(scope.graph);
      }
      if (cursor.accept("symbol ")) {
        symbol(cursor, scope);
      } else if (cursor.accept("input ")) {
        const std::string name = new_value(cursor, scope);
        cursor.expect(":");
        TensorType type = cursor.type();
        scope.values.emplace(name, scope.graph.add_input(name, std::move(type)));
        cursor.expect_end();
      } else if (cursor.accept("constant ")) {
        constant(cursor, scope);
      } else if (cursor.accept("guard ")) {
        guard(cursor, scope);
      } else if (cursor.accept("region {")) {
        cursor.expect_end();
        if (!scope.last.valid()) syntax_error("a region without a node");
        Graph region = body(depth + 1);
        scope.graph.node(scope.last).regions.push_back(std::move(region));
      } else {
        node(cursor, scope);
      }
    }
    syntax_error("the text ends inside of a graph");
  }

  static std::string new_value(Cursor& cursor, const Scope& scope) {
    cursor.expect("%");
    std::string name = cursor.name();
    if (name.empty()) syntax_error("a value has no name");
    if (scope.values.contains(name)) syntax_error("there are two values '" + name + "'");
    return name;
  }

  static ValueId operand(Cursor& cursor, const Scope& scope) {
    if (cursor.accept("_")) return {};
    cursor.expect("%");
    const std::string name = cursor.name();
    const auto it = scope.values.find(name);
    if (it == scope.values.end()) syntax_error("there is no value '" + name + "' before this line");
    return it->second;
  }

  static void outputs(Cursor& cursor, Scope& scope) {
    if (cursor.at_end()) return;
    do {
      const ValueId id = operand(cursor, scope);
      if (!id.valid()) syntax_error("an output is absent");
      scope.graph.add_output(id);
    } while (cursor.accept(","));
    cursor.expect_end();
  }

  static void symbol(Cursor& cursor, Scope& scope) {
    const std::string name(cursor.until(" "));
    cursor.expect("in [");
    Interval bounds;
    bounds.low = Cursor::number<int64_t>(cursor.until(","));
    cursor.expect(",");
    bounds.high = Cursor::number<int64_t>(cursor.until("]"));
    cursor.expect("]");
    cursor.expect_end();
    if (bounds.low > bounds.high) syntax_error("the bounds of '" + name + "' hold no value");
    if (!scope.graph.bounds().emplace(name, bounds).second)
      syntax_error("two bounds of '" + name + "'");
  }

  static void guard(Cursor& cursor, Scope& scope) {
    SizeGuard guard;
    guard.a = cursor.dim("=");
    cursor.expect("==");
    // A single '/' may be part of a symbol's name.
    guard.b = Dim::parse(cursor.until_text("  //"));
    guard.where = cursor.remark();
    scope.graph.guards().push_back(std::move(guard));
  }

  void constant(Cursor& cursor, Scope& scope) {
    const std::string name = new_value(cursor, scope);
    cursor.expect(":");
    TensorType type = cursor.type();
    cursor.expect("=");
    std::vector<std::vector<Value::Piece>> pieces;
    TensorType whole = type;
    const bool local = cursor.accept("pieces ");
    if (local) {
      pieces = read_pieces(cursor);
      cursor.expect("of ");
      whole = cursor.type();
      cursor.expect("=");
      if (pieces.size() != whole.rank() || whole.rank() != type.rank() ||
          whole.dtype != type.dtype) {
        syntax_error("the pieces of '" + name + "' do not fit its types");
      }
    }
    RecipePtr recipe = read_recipe(cursor, whole);
    cursor.expect_end();
    const ValueId id = local && !pieces.empty()
                           ? scope.graph.add_local_constant(name, std::move(type),
                                                            std::move(recipe), std::move(pieces))
                           : scope.graph.add_constant(name, std::move(recipe));
    scope.values.emplace(name, id);
  }

  static std::vector<std::vector<Value::Piece>> read_pieces(Cursor& cursor) {
    std::vector<std::vector<Value::Piece>> pieces;
    cursor.expect("[");
    if (cursor.accept("]")) return pieces;
    do {
      if (pieces.size() == kMostDimensions) syntax_error("there are too many dimensions");
      cursor.expect("[");
      pieces.emplace_back();
      if (cursor.accept("]")) continue;
      do {
        cursor.expect("(");
        Value::Piece piece;
        piece.begin = cursor.dim(",");
        cursor.expect(",");
        piece.extent = cursor.dim(")");
        cursor.expect(")");
        pieces.back().push_back(std::move(piece));
      } while (cursor.accept(","));
      cursor.expect("]");
    } while (cursor.accept(","));
    cursor.expect("]");
    return pieces;
  }

  RecipePtr read_recipe(Cursor& cursor, const TensorType& type) const {
    const std::vector<int64_t> shape = constant_shape(type);
    if (cursor.accept("fill(")) {
      const double value = Cursor::number<double>(cursor.until(")"));
      cursor.expect(")");
      return constant_fill(type.dtype, shape, value);
    }
    if (cursor.accept("#")) {
      const auto identity = Cursor::number<uint64_t>(cursor.until(" "), 16);
      RecipePtr found = find_ ? find_(identity, type.dtype, shape) : nullptr;
      if (!found) syntax_error("the constant with this identity is not known");
      if (found->dtype() != type.dtype || found->shape() != shape) {
        syntax_error("the constant with this identity is not " + type.text());
      }
      return found;
    }
    return read_values(cursor, type.dtype, shape);
  }

  // Memory is taken for the values that are there, not for those that a shape promises.
  static RecipePtr read_values(Cursor& cursor, DType dtype, const std::vector<int64_t>& shape) {
    std::vector<std::string_view> items;
    cursor.expect("[");
    if (!cursor.accept("]")) {
      do {
        items.push_back(cursor.until(",]"));
      } while (cursor.accept(","));
      cursor.expect("]");
    }
    int64_t elements = 1;
    for (int64_t extent : shape) elements *= extent;
    if (elements != static_cast<int64_t>(items.size())) {
      syntax_error("there are " + std::to_string(items.size()) + " values for " +
                   std::to_string(elements) + " elements");
    }
    HostTensor tensor(dtype, shape);
    for (size_t i = 0; i < items.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      if (is_floating(dtype)) {
        tensor.set(index, Cursor::number<double>(items[i]));
      } else {
        const bool is_unsigned = dtype == DType::kUInt64;
        const int64_t value = is_unsigned ? static_cast<int64_t>(Cursor::number<uint64_t>(items[i]))
                                          : Cursor::number<int64_t>(items[i]);
        tensor.set_integer(index, value);
        if (tensor.get_integer(index) != value) syntax_error("a value does not fit its type");
      }
    }
    return constant_value(std::move(tensor));
  }

  static Format format(Cursor& cursor) {
    for (const Format format : kFormats) {
      if (cursor.accept(cleave::name_of(format))) return format;
    }
    return Format::kRowMajor;
  }

  static void node(Cursor& cursor, Scope& scope) {
    std::vector<std::string> names;
    if (!cursor.accept("()")) {
      do {
        names.push_back(new_value(cursor, scope));
      } while (cursor.accept(","));
    }
    cursor.expect("=");
    const std::string op = cursor.name();
    cursor.expect("(");
    std::vector<ValueId> inputs;
    if (!cursor.accept(")")) {
      do {
        inputs.push_back(operand(cursor, scope));
      } while (cursor.accept(","));
      cursor.expect(")");
    }
    Attributes attributes;
    if (cursor.peek('{')) attributes = cursor.attributes();
    std::vector<TensorType> types;
    std::vector<Format> formats;
    if (!names.empty()) {
      cursor.expect(":");
      do {
        types.push_back(cursor.type());
        formats.push_back(format(cursor));
      } while (cursor.accept(","));
    }
    if (types.size() != names.size())
      syntax_error("a node has another number of types than results");
    int32_t group = -1;
    if (cursor.accept("group ")) group = Cursor::number<int32_t>(cursor.until(" "));
    const std::string name = cursor.remark();
    if (name.empty() || !scope.nodes.insert(name).second) {
      syntax_error("there are two nodes '" + name + "'");
    }
    const NodeId id = scope.graph.add_node(name, op, std::move(attributes), std::move(inputs),
                                           std::move(types), names);
    scope.graph.node(id).group = group;
    scope.last = id;
    for (size_t i = 0; i < names.size(); ++i) {
      const ValueId output = scope.graph.node(id).outputs[i];
      scope.graph.value(output).format = formats[i];
      if (scope.graph.value(output).name != names[i]) {
        syntax_error("there are two values '" + names[i] + "'");
      }
      scope.values.emplace(names[i], output);
    }
  }

  std::string_view rest_;
  const FindConstant& find_;
  std::string_view line_;
  int64_t line_number_ = 0;
};

}  // namespace

Graph parse_graph(std::string_view text, const FindConstant& find_constant) {
  Graph graph = Parser(text, find_constant).parse();
  verify_structure(graph);
  return graph;
}

}  // namespace cleave::ir
