// Strong ids: indices of different things are different types.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace cleave {

// An index into a table of `Tag`s; default-constructed it is invalid.
template <class Tag>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(size_t index) : index_(static_cast<uint32_t>(index)) {}
  constexpr size_t index() const { return index_; }
  constexpr bool valid() const { return index_ != kInvalid; }
  constexpr auto operator<=>(const StrongId&) const = default;

 private:
  static constexpr uint32_t kInvalid = ~uint32_t{0};
  uint32_t index_ = kInvalid;
};

}  // namespace cleave

template <class Tag>
struct std::hash<cleave::StrongId<Tag>> {
  size_t operator()(cleave::StrongId<Tag> id) const noexcept { return id.index(); }
};
