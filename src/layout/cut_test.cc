#include "layout/cut.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.h"

namespace cleave::layout {
namespace {

const Dim n = Dim::symbol("n");
const Dim m = Dim::symbol("m");

// How many ranks hold each element; fails where pieces leave the dimension or are out of order.
std::vector<int> holders(const Cut& cut, int64_t ranks) {
  std::vector<int> count(static_cast<size_t>(cut.extent().constant()), 0);
  for (int64_t rank = 0; rank < ranks; ++rank) {
    int64_t at = 0;
    int64_t sum = 0;
    const std::vector<Piece> pieces = cut.pieces(rank, ranks);
    EXPECT_EQ(pieces.size(), cut.segments.size());
    for (const Piece& piece : pieces) {
      EXPECT_GE(piece.begin.constant(), at);
      EXPECT_GE(piece.extent.constant(), 0);
      at = piece.begin.constant() + piece.extent.constant();
      sum += piece.extent.constant();
      for (int64_t i = piece.begin.constant(); i < at; ++i) ++count.at(static_cast<size_t>(i));
    }
    EXPECT_EQ(cut.local_extent(rank, ranks), Dim(sum));
  }
  return count;
}

TEST(Cut, PiecesTileTheDimension) {
  for (int64_t extent : {0, 1, 5, 12, 17}) {
    for (int64_t grain : {1, 3}) {
      const Cut cut({{extent * grain, grain, 1}, {2 * grain, grain, 1}, {0, grain, 1}});
      for (int64_t ranks = 1; ranks <= 16; ++ranks) {
        const std::vector<int> count = holders(cut, ranks);
        EXPECT_TRUE(std::all_of(count.begin(), count.end(), [](int c) { return c == 1; }))
            << cut.text() << " over " << ranks;
      }
    }
  }
}

TEST(Cut, SharesAreWholeGrainsAndDifferByOneAtMost) {
  const Cut cut = Cut::even(12 * 64, 64);
  for (int64_t ranks = 1; ranks <= 16; ++ranks) {
    int64_t largest = 0;
    int64_t smallest = 12 * 64;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const int64_t extent = cut.local_extent(rank, ranks).constant();
      EXPECT_EQ(extent % 64, 0);
      largest = std::max(largest, extent);
      smallest = std::min(smallest, extent);
    }
    EXPECT_LE(largest - smallest, 64);
    EXPECT_EQ(cut.largest_share(ranks), Dim(largest));
  }
}

// 3 key/value heads that 4 query heads each share, so 12 units: a rank holds the heads that its
// units need.
TEST(Cut, GroupedGrainsAreHeldByAllRanksThatNeedThem) {
  const int64_t size = 8;
  const Cut cut({{3 * size, size, 4}});
  EXPECT_TRUE(cut.shared());
  EXPECT_FALSE(Cut::even(3).shared());
  for (int64_t ranks = 1; ranks <= 16; ++ranks) {
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const int64_t first = rank * 12 / ranks;
      const int64_t last = (rank + 1) * 12 / ranks;
      const Piece held = cut.pieces(rank, ranks)[0];
      if (first == last) {
        EXPECT_EQ(held.extent, Dim(0)) << "rank " << rank << " of " << ranks;
        continue;
      }
      EXPECT_EQ(held.begin, Dim(first / 4 * size));
      EXPECT_EQ(held.begin + held.extent, Dim((last + 3) / 4 * size));
    }
    const std::vector<int> count = holders(cut, ranks);
    EXPECT_TRUE(std::all_of(count.begin(), count.end(), [](int c) { return c >= 1; }));
  }
}

// What the outputs of a window of 5, in steps of 2 from 3 elements before the first, see of 20
// elements.
TEST(Cut, WindowsHoldWhatTheirOutputsSee) {
  const Window window{.outputs = 10, .stride = 2, .before = 3, .size = 5};
  const Cut cut({{20, 1, 1, window}});
  EXPECT_TRUE(cut.windowed());
  EXPECT_TRUE(cut.shared());
  EXPECT_FALSE(cut.whole_on_all(1));
  for (int64_t ranks = 1; ranks <= 16; ++ranks) {
    int64_t largest = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const int64_t first = rank * 10 / ranks;
      const int64_t last = (rank + 1) * 10 / ranks;
      const Piece held = cut.pieces(rank, ranks)[0];
      largest = std::max(largest, held.extent.constant());
      if (first == last) {
        EXPECT_EQ(held.extent, Dim(0)) << "rank " << rank << " of " << ranks;
        continue;
      }
      const int64_t begin = std::max<int64_t>(first * 2 - 3, 0);
      EXPECT_EQ(held.begin, Dim(begin));
      EXPECT_EQ(held.extent, Dim(std::min<int64_t>((last - 1) * 2 + 2, 20) - begin));
    }
    EXPECT_EQ(cut.largest_share(ranks), Dim(largest));
  }
}

// Three outputs for every two elements: output u sees two from ⌊(2u − 1) / 3⌋ on.
TEST(Cut, WindowsOfASignalMadeLonger) {
  const Cut cut({{10, 1, 1, Window{15, 2, 1, 2, 3}}});
  for (int64_t ranks = 1; ranks <= 16; ++ranks) {
    int64_t largest = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const int64_t first = rank * 15 / ranks;
      const int64_t last = (rank + 1) * 15 / ranks;
      const Piece held = cut.pieces(rank, ranks)[0];
      largest = std::max(largest, held.extent.constant());
      if (first == last) {
        EXPECT_EQ(held.extent, Dim(0)) << "rank " << rank << " of " << ranks;
        continue;
      }
      const int64_t begin = first == 0 ? 0 : (first * 2 - 1) / 3;
      EXPECT_EQ(held.begin, Dim(begin));
      EXPECT_EQ(held.extent, Dim(std::min<int64_t>(((last - 1) * 2 + 2) / 3 + 1, 10) - begin));
    }
    EXPECT_EQ(cut.largest_share(ranks), Dim(largest));
  }
}

TEST(Cut, WindowsAreWrittenAndRead) {
  const Cut longer({{n, 1, 1, Window{n * 3, 2, m, 2, 6}}});
  EXPECT_EQ(longer.text(), "n/1 window(2, 2, m, 3*n, 6)");
  EXPECT_EQ(Cut::parse(longer.text()), longer);
  const Cut cut({{n, 2, 1, Window{.outputs = floor_div(n, 2), .stride = 2, .before = m, .size = 3}},
                 {4, 1, 1},
                 longer.segments[0]});
  EXPECT_EQ(Cut::parse(cut.text()), cut);
  Attributes attributes;
  cut.to_attributes(attributes, "to_");
  EXPECT_EQ(Cut::from_attributes(attributes, "to_"), cut);
  const Cut numbers = cut.evaluated({{"n", 8}, {"m", 1}});
  EXPECT_EQ(numbers.segments[0].window->outputs, Dim(4));
  EXPECT_EQ(numbers.segments[0].window->before, Dim(1));
  EXPECT_EQ(numbers.segments[2].window, (Window{24, 2, 1, 2, 6}));
  numbers.validate(20);
  for (const char* text : {"8/1 window(3, 2, 1)", "8/1 window(3, 2, 1, 4, 5, 6)",
                           "8/1 window(3, n, 1, 4)", "8/1 window(3, 2, 1, 4"}) {
    EXPECT_THROW(Cut::parse(text), Error) << text;
  }
  for (const Window& bad : {Window{.outputs = 4, .stride = 0}, Window{.outputs = 4, .size = 0},
                            Window{.outputs = 4, .divisor = 0}, Window{.outputs = -1},
                            Window{.outputs = int64_t{1} << 62}}) {
    EXPECT_THROW(Cut({{8, 1, 1, bad}}).validate(8), Error);
  }
}

TEST(Cut, LargestShareBoundsSymbolicSizes) {
  for (const Cut& cut :
       {Cut::even(n), Cut::even(n * 4, 4), Cut({{n, 1, 3}}), Cut({{n, 1, 1}, {n * 2, 2, 2}}),
        Cut({{n, 1, 1, Window{.outputs = n, .stride = 1, .before = 2, .size = 5}}}),
        Cut({{n, 1, 1, Window{n * 3, 4, -1, 2, 12}}})}) {
    for (int64_t ranks : {1, 2, 3, 5, 16}) {
      const Dim bound = cut.largest_share(ranks);
      for (int64_t value : {0, 1, 7, 12}) {
        for (int64_t rank = 0; rank < ranks; ++rank) {
          EXPECT_LE(cut.local_extent(rank, ranks).evaluate({{"n", value}}),
                    bound.evaluate({{"n", value}}))
              << cut.text() << " over " << ranks << " at " << value;
        }
      }
    }
  }
}

TEST(Cut, TheRankMayBeASymbol) {
  const Cut cut({{n * 3, 3, 1}, {4, 1, 2}});
  const std::vector<Piece> symbolic = cut.pieces(Dim::rank(), 3);
  for (int64_t rank = 0; rank < 3; ++rank) {
    const std::vector<Piece> numbers = cut.pieces(rank, 3);
    const SymbolValues values{{"n", 5}, {std::string(kRankSymbol), rank}};
    for (size_t i = 0; i < numbers.size(); ++i) {
      EXPECT_EQ(symbolic[i].begin.evaluate(values), numbers[i].begin.evaluate(values));
      EXPECT_EQ(symbolic[i].extent.evaluate(values), numbers[i].extent.evaluate(values));
    }
  }
}

TEST(Cut, ScaledAndDividedAreInverse) {
  const Cut cut({{12, 2, 1}, {n * 2, 2, 3}});
  EXPECT_EQ(cut.scaled(64).segments[0], (Segment{12 * 64, 128, 1}));
  EXPECT_EQ(cut.scaled(64).divided(64), cut);
  EXPECT_EQ(cut.scaled(n).divided(n), cut);
  EXPECT_EQ(cut.divided(4), std::nullopt);
  EXPECT_EQ(Cut({{8, 1, 1}}).divided(4), std::nullopt);  // borders between the groups of 4
}

TEST(Cut, PartsAreWholeSegments) {
  const Cut cut({{4, 1, 1}, {n, 1, 1}, {6, 2, 1}});
  EXPECT_EQ(cut.part(0, 4), Cut({{4, 1, 1}}));
  EXPECT_EQ(cut.part(4, n), Cut({{n, 1, 1}}));
  EXPECT_EQ(cut.part(4, n + 6), Cut({{n, 1, 1}, {6, 2, 1}}));
  EXPECT_EQ(cut.part(n + 4, 6), Cut({{6, 2, 1}}));
  EXPECT_EQ(cut.part(0, n + 10), cut);
  EXPECT_EQ(cut.part(0, 3), std::nullopt);
  EXPECT_EQ(cut.part(1, 3), std::nullopt);
  EXPECT_EQ(cut.part(4, 6), std::nullopt);
  EXPECT_EQ(Cut::concat({*cut.part(0, 4), *cut.part(4, n + 6)}), cut);
}

TEST(Cut, TextIsReadBack) {
  EXPECT_EQ(Cut::even(384, 32).text(), "384/32");
  EXPECT_EQ(Cut({{12, 1, 4}, {n * 2, 2, 1}}).text(), "12/1x4 | 2*n/2");
  const Dim odd = Dim::symbol("x3");
  const Dim path = Dim::symbol("a/b");
  for (const Cut& cut :
       {Cut::even(384, 32), Cut({{12, 1, 4}, {n * 2, 2, 1}}), Cut({{odd * 2, odd, 1}}),
        Cut({{path * 2, path, 3}}), Cut({{floor_div(n, 2) * 2, 2, 5}}),
        Cut({{odd * 6, odd * 2, 2}, {max(n, 3), 1, 1}})}) {
    EXPECT_EQ(Cut::parse(cut.text()), cut) << cut.text();
  }
}

TEST(Cut, OtherTextIsRefused) {
  for (const char* text : {"384", "384/", "/32", "384/32x", "384/32x0", "384/32x-1", "8/1 | ", "|",
                           "8/1x3x4", "8/1x99999999999999999999", "8/(1"}) {
    EXPECT_THROW(Cut::parse(text), Error) << text;
  }
}

TEST(Cut, AttributesAreReadBack) {
  const Cut cut({{12, 1, 4}, {n * 2, 2, 1}});
  Attributes attributes;
  cut.to_attributes(attributes);
  EXPECT_EQ(Cut::from_attributes(attributes), cut);
  attributes.set("cut_group", std::vector<Dim>{1});
  EXPECT_THROW(Cut::from_attributes(attributes), Error);
  attributes.set("cut_group", std::vector<Dim>{1, 0});
  EXPECT_THROW(Cut::from_attributes(attributes), Error);
}

TEST(Cut, RepeatsItsSegments) {
  const Cut cut({{4, 1, 1}, {6, 2, 3}});
  const Cut twice = cut.repeated(2);
  EXPECT_EQ(twice.segments.size(), 4u);
  EXPECT_EQ(twice.extent(), Dim(20));
  EXPECT_EQ(twice.period(2), cut);
  EXPECT_EQ(twice.period(1), twice);
  EXPECT_EQ(twice.period(4), std::nullopt);
  EXPECT_EQ(twice.period(3), std::nullopt);
  EXPECT_EQ(Cut().period(1), std::nullopt);
  EXPECT_EQ(cut.units(), (std::vector<Dim>{4, 9}));
}

TEST(Cut, IsWholeOnRanksThatAllHoldIt) {
  EXPECT_TRUE(Cut({{64, 64, 3}}).whole_on_all(3));
  EXPECT_TRUE(Cut({{64, 64, 3}, {n, n, 4}}).whole_on_all(2));
  EXPECT_FALSE(Cut({{64, 64, 3}}).whole_on_all(4));
  EXPECT_FALSE(Cut({{64, 32, 8}}).whole_on_all(2));
  EXPECT_TRUE(Cut::even(64, 64).whole_on_all(1));
  EXPECT_FALSE(Cut().whole_on_all(1));
}

TEST(Cut, NumbersForSymbols) {
  const Dim heads = Dim::symbol("heads");
  const Cut cut({{heads * 64, 64, 3}, {heads, 1, 1}});
  const Cut numbers = cut.evaluated({{"heads", 5}});
  EXPECT_EQ(numbers, Cut({{320, 64, 3}, {5, 1, 1}}));
  EXPECT_NO_THROW(numbers.validate(325));
  EXPECT_THROW(numbers.validate(324), Error);
  for (const Segment& wrong : {Segment{325, 2, 1}, Segment{325, 0, 1}, Segment{325, -1, 1},
                               Segment{-325, 1, 1}, Segment{325, 1, 0}}) {
    EXPECT_THROW(Cut({wrong}).validate(325), Error) << wrong.extent.text();
  }
}

}  // namespace
}  // namespace cleave::layout
