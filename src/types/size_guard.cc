#include "types/size_guard.h"

#include <algorithm>

namespace cleave {

bool SizeGuard::asks_the_same(const SizeGuard& other) const {
  return (a == other.a && b == other.b) || (a == other.b && b == other.a);
}

bool SizeGuard::holds(const SymbolValues& symbols) const {
  return a.evaluate(symbols) == b.evaluate(symbols);
}

std::string SizeGuard::what_is_wrong(const SymbolValues& symbols) const {
  return a.text() + " is " + std::to_string(a.evaluate(symbols)) + " and must be " + b.text() +
         ", which is " + std::to_string(b.evaluate(symbols));
}

const SizeGuard* broken_guard(std::span<const SizeGuard> guards, const SymbolValues& symbols) {
  const auto broken = std::find_if(guards.begin(), guards.end(),
                                   [&](const SizeGuard& guard) { return !guard.holds(symbols); });
  return broken == guards.end() ? nullptr : &*broken;
}

}  // namespace cleave
