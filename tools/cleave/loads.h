// What loading weights took, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "cleave/runtime.h"
#include "output.h"

namespace cleave::cli {

double gigabytes_per_second(const WeightLoad& load);  // 0 where nothing was loaded
// "14.2 GiB in 1.23 s (12.4 GB/s)", and how much of it is noise.
std::string load_text(const WeightLoad& load);
// By rank: {"bytes", "noise_bytes", "seconds", "gb_per_s"}.
Json loads_json(const std::vector<WeightLoad>& loads);

}  // namespace cleave::cli
