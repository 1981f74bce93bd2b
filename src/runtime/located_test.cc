#include "runtime/located.h"

#include <gtest/gtest.h>

#include "program/testing.h"

namespace cleave::runtime {
namespace {

// Which addresses operands begin at is known with the sizes, by rank.
TEST(Locator, SaysHowOperandsAreAligned) {
  program::testing::TestEngine engine =
      program::testing::linear_engine(/*ranks=*/3, /*k=*/6, /*n=*/4, /*split_k=*/true);
  engine.lay_out();
  const auto alignment = [&](int64_t rank) {
    const Locator locator(engine.data, engine.program(), {{"batch", 3}}, rank);
    return locator.locate(engine.instructions()[0]).inputs.at(0).view.alignment;
  };
  EXPECT_EQ(alignment(0), 16);
  EXPECT_EQ(alignment(1), 8);   // two columns of four bytes on
  EXPECT_EQ(alignment(2), 16);  // four
}

}  // namespace
}  // namespace cleave::runtime
