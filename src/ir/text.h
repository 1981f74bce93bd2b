// Graphs as text, one node a line:
//
//   graph {
//     symbol batch in [1, 64]
//     input %x : f32[batch, 2]
//     constant %b : f32[2] = [0.5, -1.0]
//     %wide = broadcast(%b) {shape=[batch, 2]} : f32[batch, 2]  // widen
//     %y = add(%x, %wide) : f32[batch, 2] group 0  // sum
//     guard batch == 2*half  // why it must hold
//     return %y
//   }
//
// Behind `//` stands the node's name. An absent operand is `_`; names that hold other characters
// than letters, digits and `_./:#$@-` are quoted. Constants are values (up to 16), `fill(1.5)`, or
// `#` and their identity; what ranks hold of a local constant reads
// `pieces [[(0, 4)], [(begin, extent)]] of f32[4, 9] = …`. A node's regions follow it as
// `region { … }`.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace cleave::ir {

std::string to_text(const Graph& graph);

// Finds the constant that was printed as an identity; null where there is none.
using FindConstant =
    std::function<RecipePtr(uint64_t identity, DType dtype, const std::vector<int64_t>& shape)>;

// The inverse of `to_text`: printing the result gives the text again. Error(kInvalid) placed at the
// line that is not understood; identities that `find_constant` does not know are such errors. The
// text may come from anywhere: it is not trusted. Types are not inferred; see ops/builder.h for
// `verify`.
Graph parse_graph(std::string_view text, const FindConstant& find_constant = {});

// Finds the constants of a graph and of its regions.
FindConstant constants_of(const Graph& graph);

}  // namespace cleave::ir
