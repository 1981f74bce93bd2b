#include "ir/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "ir/text_names.h"

namespace cleave::ir {
namespace {

// Constants of more elements are printed as their identity.
constexpr int64_t kInlineElements = 16;

std::string text_of_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 40> buffer;
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

std::string text_of_element(const HostTensor& tensor, int64_t index) {
  if (is_floating(tensor.dtype)) return text_of_real(tensor.get(index));
  const int64_t value = tensor.get_integer(index);
  if (tensor.dtype == DType::kUInt64) return std::to_string(static_cast<uint64_t>(value));
  return std::to_string(value);
}

std::string text_of_identity(uint64_t identity) {
  std::array<char, 20> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), identity, 16).ptr;
  const std::string digits(buffer.data(), end);
  return "#" + std::string(16 - digits.size(), '0') + digits;
}

std::string text_of_recipe(const Recipe& recipe) {
  if (const auto fill = recipe.fill()) return "fill(" + text_of_real(*fill) + ")";
  const HostTensor* value = recipe.value();
  if (!value || value->elements() > kInlineElements) return text_of_identity(recipe.identity());
  std::string out = "[";
  for (int64_t i = 0; i < value->elements(); ++i) {
    out += (i ? ", " : "") + text_of_element(*value, i);
  }
  return out + "]";
}

std::string text_of_pieces(const std::vector<std::vector<Value::Piece>>& pieces) {
  std::string out = "[";
  for (size_t d = 0; d < pieces.size(); ++d) {
    out += d ? ", [" : "[";
    for (size_t i = 0; i < pieces[d].size(); ++i) {
      out +=
          (i ? ", (" : "(") + pieces[d][i].begin.text() + ", " + pieces[d][i].extent.text() + ")";
    }
    out += "]";
  }
  return out + "]";
}

class Printer {
 public:
  std::string take() { return std::move(out_); }

  void graph(const Graph& graph, std::string_view keyword, int depth) {
    line(depth, std::string(keyword) + " {");
    for (const auto& [name, bounds] : graph.bounds()) {
      line(depth + 1, "symbol " + name + " in [" + std::to_string(bounds.low) + ", " +
                          std::to_string(bounds.high) + "]");
    }
    for (ValueId id : graph.inputs()) {
      line(depth + 1, "input " + name_of(graph, id) + " : " + graph.type(id).text());
    }
    constants(graph, depth + 1);
    for (NodeId id : graph.order()) node(graph, graph.node(id), depth + 1);
    for (const SizeGuard& guard : graph.guards()) {
      line(depth + 1, "guard " + guard.a.text() + " == " + guard.b.text() + "  // " +
                          text_of_remark(guard.where));
    }
    line(depth + 1, graph.outputs().empty() ? "return" : "return " + names(graph, graph.outputs()));
    line(depth, "}");
  }

 private:
  void line(int depth, const std::string& text) {
    out_ += std::string(static_cast<size_t>(depth) * 2, ' ') + text + "\n";
  }

  static std::string name_of(const Graph& graph, ValueId id) {
    return id.valid() ? "%" + text_of_name(graph.value(id).name) : "_";
  }

  static std::string names(const Graph& graph, const std::vector<ValueId>& ids) {
    std::string out;
    for (size_t i = 0; i < ids.size(); ++i) out += (i ? ", " : "") + name_of(graph, ids[i]);
    return out;
  }

  void constants(const Graph& graph, int depth) {
    for (size_t i = 0; i < graph.value_count(); ++i) {
      const Value& value = graph.value(ValueId(i));
      if (!value.is_constant()) continue;
      std::string text = "constant " + name_of(graph, ValueId(i)) + " : " + value.type.text();
      if (!value.pieces.empty()) {
        const std::vector<int64_t>& shape = value.constant->shape();
        text += " = pieces " + text_of_pieces(value.pieces) + " of " +
                TensorType{value.constant->dtype(), Shape(shape.begin(), shape.end())}.text();
      }
      line(depth, text + " = " + text_of_recipe(*value.constant));
    }
  }

  void node(const Graph& graph, const Node& node, int depth) {
    std::string text = node.outputs.empty() ? "()" : names(graph, node.outputs);
    text += " = " + text_of_name(node.op) + "(" + names(graph, node.inputs) + ")";
    if (!node.attributes.fields().empty()) text += " " + node.attributes.text();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Value& output = graph.value(node.outputs[i]);
      text += (i ? ", " : " : ") + output.type.text();
      if (output.format != Format::kRowMajor) {
        text += " " + std::string(cleave::name_of(output.format));
      }
    }
    if (node.group >= 0) text += " group " + std::to_string(node.group);
    line(depth, text + "  // " + text_of_remark(node.name));
    for (const Graph& region : node.regions) this->graph(region, "region", depth + 1);
  }

  std::string out_;
};

void collect_constants(const Graph& graph, std::map<uint64_t, RecipePtr>& into) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const RecipePtr& constant = graph.value(ValueId(i)).constant;
    if (constant) into.emplace(constant->identity(), constant);
  }
  for (NodeId id : graph.order()) {
    for (const Graph& region : graph.node(id).regions) collect_constants(region, into);
  }
}

}  // namespace

bool is_plain_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80 ||
         std::string_view("_./:#$@-").find(c) != std::string_view::npos;
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string text_of_name(std::string_view name) {
  const bool plain =
      !name.empty() && std::all_of(name.begin(), name.end(), is_plain_name_character);
  return plain ? std::string(name) : quoted_name(name);
}

std::string text_of_remark(std::string_view name) {
  const bool plain = !name.empty() && name.front() != '"' && name.front() != ' ' &&
                     name.back() != ' ' && std::none_of(name.begin(), name.end(), [](char c) {
                       return static_cast<unsigned char>(c) < 0x20;
                     });
  return plain ? std::string(name) : quoted_name(name);
}

std::string to_text(const Graph& graph) {
  Printer printer;
  printer.graph(graph, "graph", 0);
  return printer.take();
}

FindConstant constants_of(const Graph& graph) {
  std::map<uint64_t, RecipePtr> constants;
  collect_constants(graph, constants);
  return [constants = std::move(constants)](uint64_t identity, DType,
                                            const std::vector<int64_t>&) -> RecipePtr {
    const auto it = constants.find(identity);
    return it == constants.end() ? nullptr : it->second;
  };
}

}  // namespace cleave::ir
