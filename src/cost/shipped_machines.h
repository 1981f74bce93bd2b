// The machine models that come with Cleave (machines/*.json), as text.
#pragma once

#include <string_view>

namespace cleave::cost {

// By file name without its extension: "h200-x2-2026-11-26". It must exist.
std::string_view shipped_machine(std::string_view name);

}  // namespace cleave::cost
