#include "ops/interpreter.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

std::string type_text(const HostTensor& tensor) {
  return TensorType{tensor.dtype, Shape(tensor.shape.begin(), tensor.shape.end())}.text();
}

class Interpreter {
 public:
  Interpreter(const ir::Graph& graph, const Registry& registry, int64_t ranks,
              const SymbolValues& symbols)
      : graph_(graph), registry_(registry), values_(static_cast<size_t>(ranks)) {
    for (size_t r = 0; r < values_.size(); ++r) {
      values_[r].resize(graph.value_count());
      symbols_.push_back(symbols);
      symbols_.back()[std::string(kRankSymbol)] = static_cast<int64_t>(r);
    }
    uses_left_.resize(graph.value_count(), 0);
    const auto uses = graph.uses();
    for (size_t i = 0; i < uses.size(); ++i) uses_left_[i] = uses[i].size();
    for (ir::ValueId id : graph.outputs()) ++uses_left_[id.index()];
  }

  std::vector<std::vector<HostTensor>> run(const std::vector<std::vector<HostTensor>>& inputs) {
    for (size_t r = 0; r < inputs.size(); ++r) {
      check_guards(symbols_[r]);
      set_inputs(inputs[r], r);
    }
    for (ir::NodeId id : graph_.order()) {
      const ir::Node& node = graph_.node(id);
      try {
        run_node(node);
      } catch (Error& error) {
        error.at(node.op + " '" + node.name + "'");
        throw;
      }
      release(node);
    }
    std::vector<std::vector<HostTensor>> outputs(inputs.size());
    for (size_t r = 0; r < outputs.size(); ++r) {
      for (ir::ValueId id : graph_.outputs()) outputs[r].push_back(*operand(id, r));
    }
    return outputs;
  }

 private:
  void check_guards(const SymbolValues& symbols) const {
    const SizeGuard* const broken = broken_guard(graph_.guards(), symbols);
    if (broken == nullptr) return;
    throw Error(ErrorCode::kInvalid, "the shapes do not fit: " + broken->what_is_wrong(symbols))
        .at(broken->where);
  }

  void set_inputs(const std::vector<HostTensor>& inputs, size_t rank) {
    if (inputs.size() != graph_.inputs().size()) {
      invalid("there are " + std::to_string(inputs.size()) + " inputs where the graph has " +
              std::to_string(graph_.inputs().size()));
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const ir::Value& value = graph_.value(graph_.inputs()[i]);
      check_type(inputs[i], value, rank);
      values_[rank][graph_.inputs()[i].index()] = std::make_shared<HostTensor>(inputs[i]);
    }
  }

  void check_type(const HostTensor& tensor, const ir::Value& value, size_t rank) const {
    const std::vector<int64_t> shape = evaluate(value.type.shape, symbols_[rank]);
    if (tensor.dtype != value.type.dtype || tensor.shape != shape) {
      invalid("'" + value.name + "' is " + type_text(tensor) + ", expected " + value.type.text() +
              " = " + text_of(Shape(shape.begin(), shape.end())));
    }
  }

  const HostTensor* operand(ir::ValueId id, size_t rank) {
    if (!id.valid()) return nullptr;
    std::shared_ptr<const HostTensor>& tensor = values_[rank][id.index()];
    if (!tensor) {
      const ir::Value& value = graph_.value(id);
      CLEAVE_CHECK(value.is_constant(), value.name + " is used before it is made");
      HostTensor constant = read_constant(value, symbols_[rank]);
      check_type(constant, value, rank);
      tensor = std::make_shared<HostTensor>(std::move(constant));
    }
    return tensor.get();
  }

  Attributes attributes_of(const OpDefinition& definition, const ir::Node& node,
                           size_t rank) const {
    Attributes attributes = node.attributes.evaluated(symbols_[rank]);
    for (const AttributeField& field : definition.fields()) {
      if (field.name == "rank" && !attributes.has("rank")) {
        attributes.set("rank", Dim(static_cast<int64_t>(rank)));
      }
    }
    return attributes;
  }

  void run_node(const ir::Node& node) {
    const OpDefinition& definition = registry_.at(node.op);
    if (definition.is_collective()) {
      run_collective(definition, node);
      return;
    }
    for (size_t rank = 0; rank < values_.size(); ++rank) {
      std::vector<const HostTensor*> inputs;
      for (ir::ValueId id : node.inputs) inputs.push_back(operand(id, rank));
      std::vector<HostTensor> outputs;
      for (ir::ValueId id : node.outputs) {
        const TensorType& type = graph_.type(id);
        const std::vector<int64_t> shape = evaluate(type.shape, symbols_[rank]);
        if (std::any_of(shape.begin(), shape.end(), [](int64_t extent) { return extent < 0; })) {
          invalid("the shape of '" + graph_.value(id).name + "' is negative: " + type.text());
        }
        outputs.emplace_back(type.dtype, shape);
      }
      definition.reference(attributes_of(definition, node, rank), inputs, outputs);
      for (size_t i = 0; i < outputs.size(); ++i) store(node.outputs[i], rank, outputs[i]);
    }
  }

  void run_collective(const OpDefinition& definition, const ir::Node& node) {
    std::vector<Attributes> attributes;
    std::vector<const HostTensor*> inputs;
    for (size_t rank = 0; rank < values_.size(); ++rank) {
      attributes.push_back(attributes_of(definition, node, rank));
      inputs.push_back(operand(node.inputs.at(0), rank));
    }
    std::vector<HostTensor> outputs = definition.reference_ranks(attributes, inputs);
    CLEAVE_CHECK(outputs.size() == values_.size(), "a collective has not one result a rank");
    for (size_t rank = 0; rank < outputs.size(); ++rank) {
      store(node.outputs.at(0), rank, outputs[rank]);
    }
  }

  void store(ir::ValueId id, size_t rank, HostTensor& tensor) {
    check_type(tensor, graph_.value(id), rank);
    values_[rank][id.index()] = std::make_shared<HostTensor>(std::move(tensor));
  }

  void release(const ir::Node& node) {
    for (ir::ValueId id : node.inputs) {
      if (id.valid() && --uses_left_[id.index()] == 0) {
        for (auto& values : values_) values[id.index()].reset();
      }
    }
  }

  const ir::Graph& graph_;
  const Registry& registry_;
  std::vector<SymbolValues> symbols_;                                   // by rank
  std::vector<std::vector<std::shared_ptr<const HostTensor>>> values_;  // by rank and value
  std::vector<size_t> uses_left_;
};

}  // namespace

SymbolValues symbols_of(const ir::Graph& graph, const std::vector<HostTensor>& inputs) {
  SymbolValues symbols;
  for (size_t i = 0; i < std::min(inputs.size(), graph.inputs().size()); ++i) {
    const ir::Value& value = graph.value(graph.inputs()[i]);
    for (size_t d = 0; d < std::min(inputs[i].shape.size(), value.type.rank()); ++d) {
      std::set<std::string, std::less<>> names;
      value.type.shape[d].collect_symbols(names);
      if (names.size() != 1 || value.type.shape[d] != Dim::symbol(*names.begin())) continue;
      const auto [it, added] = symbols.emplace(*names.begin(), inputs[i].shape[d]);
      if (!added && it->second != inputs[i].shape[d]) {
        invalid("'" + value.name + "' is " + type_text(inputs[i]) + ", but " + *names.begin() +
                " is " + std::to_string(it->second) + " in another input");
      }
    }
  }
  return symbols;
}

std::vector<HostTensor> interpret(const ir::Graph& graph, const Registry& registry,
                                  const std::vector<HostTensor>& inputs,
                                  const SymbolValues& symbols) {
  SymbolValues all = symbols_of(graph, inputs);
  for (const auto& [name, value] : symbols) all.insert_or_assign(name, value);
  return interpret_ranks(graph, registry, {inputs}, all).at(0);
}

std::vector<std::vector<HostTensor>> interpret_ranks(
    const ir::Graph& local, const Registry& registry,
    const std::vector<std::vector<HostTensor>>& inputs, const SymbolValues& symbols) {
  return Interpreter(local, registry, static_cast<int64_t>(inputs.size()), symbols).run(inputs);
}

HostTensor read_constant(const ir::Value& value, const SymbolValues& symbols) {
  CLEAVE_CHECK(value.is_constant(), value.name + " is no constant");
  const ir::RecipePtr held = value.held(symbols);
  if (held->shape() != evaluate(value.type.shape, symbols)) {
    invalid("the pieces of '" + value.name + "' do not add up to its local shape");
  }
  return held->read_all();
}

}  // namespace cleave::ops
