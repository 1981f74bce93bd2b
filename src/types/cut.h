// Cut: where a sharded dimension is cut between N ranks.
//
// A dimension is a sequence of segments; each is dealt out in whole grains, so that every rank
// holds one contiguous piece of each segment. With `group` = 1, rank r of N owns the grains
// ⌊r·g/N⌋ to ⌊(r+1)·g/N⌋ of a segment's g. With `group` = k, each grain stands for k units (a
// key/value head that k query heads share): units are dealt out, and a rank holds every grain that
// one of its units needs, so that grains at a border are held by two ranks. With a window, the
// units are the outputs of a window that slides over the dimension (a convolution's): a rank holds
// what its outputs see, which overlaps what its neighbours hold (a halo, of any number of ranks).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "types/attributes.h"
#include "types/dim.h"

namespace cleave::layout {

// Output u sees the elements from ⌊(u·stride − before) / divisor⌋ on, `size` of them, as far as
// they exist. Where a signal is made longer its elements are divided among several outputs.
struct Window {
  Dim outputs;
  int64_t stride = 1;
  Dim before = 0;
  int64_t size = 1;
  int64_t divisor = 1;
  bool operator==(const Window&) const = default;
};

struct Segment {
  Dim extent;         // elements of the dimension in this segment
  Dim grain = 1;      // elements a grain; divides `extent`; of a window, outputs, as a rule divides
  int64_t group = 1;  // units a grain
  std::optional<Window> window = {};
  bool operator==(const Segment&) const = default;
};

// A contiguous part of a dimension; expressions of the rank where the rank is symbolic.
struct Piece {
  Dim begin;
  Dim extent;
  bool operator==(const Piece&) const = default;
};

struct Cut {
  std::vector<Segment> segments;

  Cut() = default;
  explicit Cut(std::vector<Segment> s) : segments(std::move(s)) {}
  static Cut even(const Dim& extent, const Dim& grain = 1) {
    return Cut({Segment{extent, grain, 1}});
  }

  Dim extent() const;  // of the whole dimension
  // What `rank` holds of each segment, in order; `rank` is a number or Dim::rank().
  std::vector<Piece> pieces(const Dim& rank, int64_t ranks) const;
  Dim local_extent(const Dim& rank, int64_t ranks) const;
  // The largest share over all ranks, an upper bound exact for constant extents.
  Dim largest_share(int64_t ranks) const;
  // True where an element may be held by two ranks.
  bool shared() const;
  // True where a segment is held as a window sees it: some elements may be held by no rank.
  bool windowed() const;
  // True where every one of `ranks` holds all of it: one grain that each has a unit of.
  bool whole_on_all(int64_t ranks) const;
  // Every extent and grain times `factor` (a dimension with minor factors below the cut one).
  Cut scaled(const Dim& factor) const;
  // The inverse; nullopt where an extent or grain is not divisible.
  std::optional<Cut> divided(const Dim& factor) const;
  // The part of this cut that covers [begin, begin + extent): whole segments only.
  std::optional<Cut> part(const Dim& begin, const Dim& extent) const;
  // Error(kInvalid) unless this, in numbers, cuts a dimension of `extent` in whole grains.
  void validate(int64_t extent) const;
  // With numbers for its symbols.
  Cut evaluated(const SymbolValues& values) const;
  static Cut concat(const std::vector<Cut>& parts);
  // This cut `times` times over: that of a dimension with a major factor of `times` before the one
  // that is cut, as of [3, heads, size] by heads.
  Cut repeated(int64_t times) const;
  // The inverse; nullopt where this is not the same cut `times` times over.
  std::optional<Cut> period(int64_t times) const;
  // How many units each segment deals out. Cuts of equal units give every rank the same share.
  std::vector<Dim> units() const;

  // "384/32" for extent/grain, "x3" behind it for a group, " window(size, stride, before, outputs)"
  // for a window, with its divisor last where that is not 1; segments joined by " | ".
  std::string text() const;
  static Cut parse(std::string_view text);
  // As the attributes `<prefix>extent`, `<prefix>grain`, `<prefix>group` of a collective, and
  // `<prefix>window` where there are windows: size, stride, before, outputs, divisor of
  // each segment.
  void to_attributes(Attributes& attributes, std::string_view prefix = "cut_") const;
  static Cut from_attributes(const Attributes& attributes, std::string_view prefix = "cut_");
  bool operator==(const Cut&) const = default;
};

}  // namespace cleave::layout
