// A product and behind it, as a kernel of its own, the chain: for what cuBLASLt does not carry out.
#pragma once

#include <memory>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// "matmul.chain": the product by the first of `products` that takes it without the chain, whose
// result the chain then works on in place.
std::shared_ptr<const Kernel> make_matmul_chain(
    std::vector<std::shared_ptr<const Kernel>> products);

}  // namespace cleave::backend
