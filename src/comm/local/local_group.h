// Groups of ranks that are threads of one process.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "comm/communicator.h"

namespace cleave {

struct LocalGroupOptions {
  // See Communicator::set_lateness_limit.
  std::chrono::milliseconds lateness_limit{0};
  // How long a wait spins before it blocks. By default it spins where the machine has a core for
  // each rank, and gives way at once where it has not.
  std::optional<std::chrono::microseconds> spin;
};

// The ends of a new group of `size` ranks, by rank. Each is then used by a thread of its own. A
// rank reads its peers' memory directly, so each byte is copied once.
std::vector<std::unique_ptr<Communicator>> make_local_group(int size,
                                                            const LocalGroupOptions& options = {});

}  // namespace cleave
