// EngineData to and from the bytes of an engine file's metadata.
#pragma once

#include <string>
#include <string_view>

#include "program/program.h"

namespace cleave::program {

// Equal data give equal bytes.
std::string encode_metadata(const EngineData& data);
// Error(kInvalid) where the bytes are no metadata. The result is well-formed (element types,
// spaces, sizes and attributes that parse) but not yet validated: see validate.h.
EngineData decode_metadata(std::string_view bytes);

}  // namespace cleave::program
