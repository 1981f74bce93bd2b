// What trtexec reports: its summary of performance, and the JSON that it exports.
#pragma once

#include <string>

#include "cleave/engine.h"
#include "cleave/tensor.h"
#include "output.h"
#include "timing.h"

namespace cleave::cli {

std::string performance_summary(const Latencies& latencies);
Json outputs_json(const TensorMap& outputs);
Json times_json(const Latencies& latencies);
Json layers_json(const Engine& engine);

}  // namespace cleave::cli
