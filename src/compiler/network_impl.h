// What a Network is.
#pragma once

#include "cleave/network.h"
#include "ir/graph.h"
#include "ops/registry.h"

namespace cleave {

struct NetworkImpl {
  ir::Graph graph;  // as imported, before any pass
  ops::Registry registry;
};

}  // namespace cleave
