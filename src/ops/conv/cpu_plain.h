// "conv.plain": convolutions of float64 and integers, an output after the other.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_plain_conv();

}  // namespace cleave::backend
