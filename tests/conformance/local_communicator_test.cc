#include "comm/local/local_group.h"
#include "tests/conformance/communicator_conformance.h"

namespace cleave::conformance {
namespace {

std::vector<int> one_to_sixteen() {
  std::vector<int> sizes;
  for (int size = 1; size <= 16; ++size) sizes.push_back(size);
  return sizes;
}

struct LocalHarness {
  static std::vector<int> sizes() { return one_to_sixteen(); }
  static Group make_group(int size) { return make_local_group(size); }
};

// Waits that spin however many the ranks, as a machine with a core for each has them.
struct SpinningLocalHarness {
  static std::vector<int> sizes() { return {1, 2, 3, 4, 7}; }
  static Group make_group(int size) {
    return make_local_group(size, {.spin = std::chrono::microseconds(20)});
  }
};

CLEAVE_COMMUNICATOR_CONFORMANCE(Local, LocalHarness);
CLEAVE_COMMUNICATOR_CONFORMANCE(SpinningLocal, SpinningLocalHarness);

TEST(LocalGroup, NeedsARank) { EXPECT_THROW(make_local_group(0), Error); }

}  // namespace
}  // namespace cleave::conformance
