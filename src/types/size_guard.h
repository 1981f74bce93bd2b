// SizeGuard: two sizes that must be equal in every run, of which shapes alone do not say so.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "types/dim.h"

namespace cleave {

struct SizeGuard {
  Dim a;
  Dim b;
  std::string where;  // the node that asks for it
  bool operator==(const SizeGuard&) const = default;

  bool holds(const SymbolValues& symbols) const;
  // Of one that does not hold: "2*n is 6 and must be m, which is 4".
  std::string what_is_wrong(const SymbolValues& symbols) const;
};

// Adds the guard unless one is there of the same two sizes, in either order, whoever asks for it.
void add_guard(std::vector<SizeGuard>& guards, SizeGuard guard);

// The first that does not hold for these sizes; null where all do.
const SizeGuard* broken_guard(std::span<const SizeGuard> guards, const SymbolValues& symbols);

}  // namespace cleave
