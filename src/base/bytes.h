// Sizes in memory as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace cleave {

// "1.50 GiB", "257.2 KiB", "12 bytes".
std::string text_of_bytes(int64_t bytes);

}  // namespace cleave
