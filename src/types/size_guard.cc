#include "types/size_guard.h"

#include <algorithm>
#include <utility>

namespace cleave {

bool SizeGuard::holds(const SymbolValues& symbols) const {
  return a.evaluate(symbols) == b.evaluate(symbols);
}

std::string SizeGuard::what_is_wrong(const SymbolValues& symbols) const {
  return a.text() + " is " + std::to_string(a.evaluate(symbols)) + " and must be " + b.text() +
         ", which is " + std::to_string(b.evaluate(symbols));
}

void add_guard(std::vector<SizeGuard>& guards, SizeGuard guard) {
  const bool is_known = std::any_of(guards.begin(), guards.end(), [&](const SizeGuard& other) {
    return (guard.a == other.a && guard.b == other.b) || (guard.a == other.b && guard.b == other.a);
  });
  if (!is_known) guards.push_back(std::move(guard));
}

const SizeGuard* broken_guard(std::span<const SizeGuard> guards, const SymbolValues& symbols) {
  const auto broken = std::find_if(guards.begin(), guards.end(),
                                   [&](const SizeGuard& guard) { return !guard.holds(symbols); });
  return broken == guards.end() ? nullptr : &*broken;
}

}  // namespace cleave
