// The intermediate representation: a graph of operations over typed values in SSA form.
//
// A Graph owns its values and nodes; ids index them and stay valid until `compact`. Nodes are kept
// in an execution order. Ops are named by text: what an op means is known to `ops/`, above this
// folder. A node may hold regions (If, Loop, Scan): graphs that see their parent's values only
// through region inputs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong_id.h"
#include "ir/constant.h"
#include "types/attributes.h"
#include "types/format.h"
#include "types/size_guard.h"
#include "types/tensor_type.h"

namespace cleave::ir {

struct ValueTag;
struct NodeTag;
using ValueId = StrongId<ValueTag>;
using NodeId = StrongId<NodeTag>;

class Graph;

struct Value {
  std::string name;  // unique in the graph; model tensors keep the model's name
  TensorType type;
  Format format = Format::kRowMajor;  // in which its producer leaves it in memory of its own
  NodeId producer;                    // invalid for graph inputs and constants
  uint32_t output_index = 0;          // which output of the producer
  RecipePtr constant;                 // set for constants only; of a local graph, the whole tensor
  // For a constant of a local graph: the slice of `constant` that a rank holds, as one list of
  // pieces (begin, extent) for each dimension, expressions of the rank; empty: all of it.
  struct Piece {
    Dim begin;
    Dim extent;
    bool operator==(const Piece&) const = default;
  };
  std::vector<std::vector<Piece>> pieces;
  bool is_constant() const { return constant != nullptr; }
  // What a rank holds of this constant: its pieces at these symbols' values ($rank among them), one
  // behind the other in each dimension. Error(kInternal) where a piece lies outside.
  RecipePtr held(const SymbolValues& symbols) const;
};

struct Node {
  std::string name;  // unique in the graph; model nodes keep the model's name
  std::string op;
  Attributes attributes;
  std::vector<ValueId> inputs;  // an invalid id is an absent optional input
  std::vector<ValueId> outputs;
  std::vector<Graph> regions;
  // The fusion group that the planner costed this node in; -1 before planning.
  int32_t group = -1;
  bool erased = false;
};

class Graph {
 public:
  // Names that are taken get a suffix ("#2").
  ValueId add_input(std::string_view name, TensorType type);
  ValueId add_constant(std::string_view name, RecipePtr constant);
  // A local graph's constant: `type` is the local type.
  ValueId add_local_constant(std::string_view name, TensorType type, RecipePtr whole,
                             std::vector<std::vector<Value::Piece>> pieces);
  // Appends a node with outputs of these types, named after it (`output_names` where given).
  NodeId add_node(std::string_view name, std::string_view op, Attributes attributes,
                  std::vector<ValueId> inputs, std::vector<TensorType> output_types,
                  std::vector<std::string> output_names = {});
  // As add_node, but in the order before `position`.
  NodeId insert_node(NodeId position, std::string_view name, std::string_view op,
                     Attributes attributes, std::vector<ValueId> inputs,
                     std::vector<TensorType> output_types,
                     std::vector<std::string> output_names = {});
  void set_outputs(std::vector<ValueId> outputs) { outputs_ = std::move(outputs); }
  void add_output(ValueId value) { outputs_.push_back(value); }

  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  // All live nodes in execution order.
  std::vector<NodeId> order() const;
  size_t value_count() const { return values_.size(); }  // dead ones included
  size_t node_count() const { return nodes_.size(); }    // erased ones included
  const Value& value(ValueId id) const { return values_.at(id.index()); }
  Value& value(ValueId id) { return values_.at(id.index()); }
  const Node& node(NodeId id) const { return nodes_.at(id.index()); }
  Node& node(NodeId id) { return nodes_.at(id.index()); }
  const TensorType& type(ValueId id) const { return value(id).type; }
  std::optional<ValueId> find_value(std::string_view name) const;
  std::optional<NodeId> find_node(std::string_view name) const;

  // One entry a use: (node, input index). Graph outputs are not uses.
  struct Use {
    NodeId node;
    uint32_t input;
  };
  // Uses of every value, indexed by ValueId::index(); a snapshot.
  std::vector<std::vector<Use>> uses() const;
  bool is_output(ValueId value) const;
  void replace_uses(ValueId from, ValueId to);  // in nodes and graph outputs
  void erase(NodeId node);                      // its outputs must be unused
  // Drops erased nodes and values nobody makes or uses; renumbers all ids.
  void compact();

  std::vector<SizeGuard>& guards() { return guards_; }
  const std::vector<SizeGuard>& guards() const { return guards_; }
  // Bounds of the symbols (from the optimization profile), where known.
  SymbolBounds& bounds() { return bounds_; }
  const SymbolBounds& bounds() const { return bounds_; }
  std::string unique_name(std::string_view name) const;
  // Gives a value another name, with a suffix where it is taken.
  void rename(ValueId value, std::string_view name);

 private:
  NodeId make_node(std::string_view name, std::string_view op, Attributes attributes,
                   std::vector<ValueId> inputs, std::vector<TensorType> output_types,
                   std::vector<std::string> output_names);
  ValueId make_value(std::string_view name, TensorType type);
  void register_name(const std::string& name) { names_.insert(name); }

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<NodeId> order_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  std::vector<SizeGuard> guards_;
  SymbolBounds bounds_;
  std::set<std::string, std::less<>> names_;  // of values
  std::set<std::string, std::less<>> node_names_;
  mutable std::map<std::string, int, std::less<>> suffixes_;
};

// Structure: every input exists and is made before it is used, names are unique, outputs exist, ids
// agree in both directions. Error(kInternal) naming the node. Types are checked by ops/verify.h.
void verify_structure(const Graph& graph);

}  // namespace cleave::ir
