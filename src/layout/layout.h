// Mesh and Layout: how tensors lie over the ranks. Placement lies in types/, because programs and
// the runtime need it too.
#pragma once

#include <string>
#include <vector>

#include "layout/cut.h"
#include "types/placement.h"  // IWYU pragma: export

namespace cleave::layout {

// The ranks arranged on named axes.
struct Mesh {
  struct Axis {
    std::string name;
    int64_t size = 1;
    bool operator==(const Axis&) const = default;
  };
  std::vector<Axis> axes;

  static Mesh line(int64_t ranks) { return Mesh{{{"x", ranks}}}; }
  int64_t ranks() const;
  std::string text() const;  // "{x:2, y:4}"
  bool operator==(const Mesh&) const = default;
};

// One placement a mesh axis. Two layouts are equal only if their cuts are.
using Layout = std::vector<Placement>;
std::string text_of(const Layout& layout);

}  // namespace cleave::layout
