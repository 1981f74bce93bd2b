#include "types/pad_mode.h"

#include <algorithm>

#include "cleave/error.h"

namespace cleave {

PadMode pad_mode(const Attributes& attributes) {
  const std::string mode = attributes.string("mode", "constant");
  if (mode == "constant") return PadMode::kConstant;
  if (mode == "reflect") return PadMode::kReflect;
  if (mode == "edge") return PadMode::kEdge;
  if (mode == "wrap") return PadMode::kWrap;
  throw Error(ErrorCode::kInvalid, "the mode of pad is '" + mode + "'",
              "it is constant, reflect, edge or wrap");
}

int64_t padded_source(PadMode mode, int64_t position, int64_t extent) {
  if (mode == PadMode::kEdge || extent == 1) return std::clamp<int64_t>(position, 0, extent - 1);
  const int64_t period = mode == PadMode::kReflect ? 2 * (extent - 1) : extent;
  const int64_t at = position - floor_div(position, period) * period;
  return at < extent ? at : period - at;
}

}  // namespace cleave
