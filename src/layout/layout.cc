#include "layout/layout.h"

namespace cleave::layout {

int64_t Mesh::ranks() const {
  int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.size;
  return count;
}

std::string Mesh::text() const {
  std::string out = "{";
  for (size_t i = 0; i < axes.size(); ++i) {
    out += (i ? ", " : "") + axes[i].name + ":" + std::to_string(axes[i].size);
  }
  return out + "}";
}

std::string text_of(const Layout& layout) {
  std::string out;
  for (size_t i = 0; i < layout.size(); ++i) out += (i ? ", " : "") + layout[i].text();
  return out;
}

}  // namespace cleave::layout
