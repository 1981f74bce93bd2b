// Attention of few rows of queries to a key head, as in decoding.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_few_rows_attention();

}  // namespace cleave::backend
