// ViewWalk: which results lie in another value's memory and which of them are copied, group by
// group in the order of execution.
//
// Planner and lowering both walk it: the copies that are costed are those that run.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "capabilities/fusion.h"
#include "capabilities/views.h"

namespace cleave::capabilities {

class ViewWalk {
 public:
  // A value that a reader does not take as it lies: it gets memory of its own, dense in `format`,
  // for this and all later readers. `of` still gives the view that is to be copied.
  struct Copy {
    ir::ValueId value;
    Format format;
    ir::NodeId reader;
    size_t input;   // of the reader
    uint32_t copy;  // View::copy of what is made
  };
  ViewWalk(const ir::Graph& graph, const ops::Registry& registry, const Capabilities& capabilities,
           std::function<void(const Copy&)> copy);

  // Where a value lies that has been made. Inputs and constants lie in memory of their own.
  const View& of(ir::ValueId id);
  // Takes the next group: copies what it cannot read, and places its results. True where they are
  // all views of what was there, so that nothing runs.
  bool advance(const FusionGroup& group);

 private:
  bool make_views(const ir::Node& node);
  void make_dense(ir::NodeId reader, size_t input, Format format);
  void make_readable(ir::NodeId reader);
  View own_view(ir::ValueId id) const;

  const ir::Graph& graph_;
  const ops::Registry& registry_;
  const Capabilities& capabilities_;
  std::function<void(const Copy&)> copy_;
  std::vector<std::optional<View>> views_;  // by value
  std::vector<uint32_t> copies_;            // by value
};

// The format in which the operand of a reshape is copied that is no view of it as it lies: that of
// the result where it can be split and joined so.
Format copied_format(const ir::Graph& graph, const ir::Node& reshape);

// How many elements of a view lie one behind the other, counted along the innermost dimensions of
// `format`, which is that of what they are copied to.
Dim contiguous_elements(const View& view, std::span<const Dim> shape,
                        Format format = Format::kRowMajor);

}  // namespace cleave::capabilities
