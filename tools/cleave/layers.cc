#include "layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <set>
#include <thread>

#include "cleave/error.h"
#include "comm/reduce.h"
#include "reference_tensors.h"
#include "types/placement.h"
#include "values.h"

namespace cleave::cli {
namespace {

using layout::Placement;

// Every rank's copy: the worst counts.
Difference compare_copies(const std::vector<Tensor>& copies, const Tensor& whole,
                          const Tolerance& tolerance) {
  Difference worst = compare(copies[0], whole, tolerance);
  for (const Tensor& copy : copies) {
    if (copy.bytes() == 0 || std::memcmp(copy.data(), copies[0].data(), copy.bytes()) == 0)
      continue;
    worst.merge(compare(copy, whole, tolerance));
  }
  return worst;
}

Difference compare_terms(const std::vector<Tensor>& terms, ReduceOp reduce, const Tensor& whole,
                         const Tolerance& tolerance) {
  std::vector<const void*> pointers;
  for (const Tensor& term : terms) pointers.push_back(term.data());
  Tensor result = Tensor::uninitialized(whole.dtype(), whole.shape());
  reduce_function(whole.dtype(), reduce)(pointers.data(), static_cast<int>(pointers.size()), 0,
                                         whole.elements(), result.mutable_data());
  return compare(result, whole, tolerance);
}

Difference compare_shards(const std::vector<Tensor>& shards, const Placement& placement,
                          const Tensor& whole, const Tolerance& tolerance) {
  const auto dim = static_cast<size_t>(placement.dim);
  const std::vector<int64_t>& shape = whole.shape();
  int64_t inner = 1;
  for (size_t d = dim + 1; d < shape.size(); ++d) inner *= shape[d];
  Comparer comparer(whole, tolerance);
  for (size_t rank = 0; rank < shards.size(); ++rank) {
    // By index of the shard's dimension, the whole's.
    std::vector<int64_t> held;
    const auto pieces =
        placement.cut.pieces(static_cast<int64_t>(rank), static_cast<int64_t>(shards.size()));
    for (const layout::Piece& piece : pieces) {
      for (int64_t i = 0; i < piece.extent.constant(); ++i) {
        held.push_back(piece.begin.constant() + i);
      }
    }
    if (held.empty()) continue;
    const int64_t row = static_cast<int64_t>(held.size()) * inner;
    for_each_value(shards[rank], [&](int64_t i, double value) {
      const int64_t index = held[static_cast<size_t>(i % row / inner)];
      comparer.add((i / row * shape[dim] + index) * inner + i % inner, value);
    });
  }
  return comparer.difference();
}

// How often the split run makes each tensor that the unsplit run makes too.
std::map<std::string, size_t, std::less<>> common_tensors(const Engine& split,
                                                          const Engine& unsplit) {
  std::set<std::string> made;
  for (const InstructionInfo& instruction : unsplit.instructions()) {
    for (const LayoutInfo& result : instruction.results) made.insert(result.tensor);
  }
  std::map<std::string, size_t, std::less<>> common;
  for (const InstructionInfo& instruction : split.instructions()) {
    for (const LayoutInfo& result : instruction.results) {
      if (made.contains(result.tensor)) ++common[result.tensor];
    }
  }
  return common;
}

std::string cell(std::string text, size_t width) {
  if (text.size() > width) text = ".." + text.substr(text.size() - (width - 2));
  text.resize(width, ' ');
  return text;
}

// "shard 1" for "shard(1, 384/32)": which dimension says enough in a table.
std::string short_layout(const std::string& layout) {
  const Placement placement = Placement::parse(layout);
  return placement.is_shard() ? "shard " + std::to_string(placement.dim) : layout;
}

Json to_json(const Layer& layer) {
  return {{"tensor", layer.tensor},
          {"layout", layer.layout},
          {"op", layer.op},
          {"node", layer.node},
          {"passed", layer.difference.passed()},
          {"max_abs", layer.difference.max_abs},
          {"max_rel", layer.difference.max_rel},
          {"failed", layer.difference.failed},
          {"elements", layer.difference.elements}};
}

}  // namespace

const Layer* LayerReport::first_difference() const {
  const auto found = std::find_if(layers.begin(), layers.end(),
                                  [](const Layer& layer) { return !layer.difference.passed(); });
  return found == layers.end() ? nullptr : &*found;
}

Difference compare_parts(const ObservedTensor& parts, const Tensor& whole,
                         const Tolerance& tolerance) {
  if (parts.shape != whole.shape() || parts.parts.at(0).dtype() != whole.dtype()) {
    throw Error(ErrorCode::kInternal,
                "tensor '" + parts.name + "' is " + whole.type_text() + " where it is not split",
                "this is a bug in Cleave; please report it with the model");
  }
  const Placement placement = Placement::parse(parts.layout);
  if (placement.is_shard()) return compare_shards(parts.parts, placement, whole, tolerance);
  if (placement.is_partial()) {
    return compare_terms(parts.parts, placement.reduce, whole, tolerance);
  }
  return compare_copies(parts.parts, whole, tolerance);
}

PairedRuns run_paired(ExecutionContext& split, ExecutionContext& unsplit, const TensorMap& inputs,
                      const Tolerance& tolerance, size_t bound_bytes) {
  PairedRuns result;
  ReferenceTensors reference(common_tensors(split.engine(), unsplit.engine()), bound_bytes);
  std::exception_ptr failure;
  std::thread unsplit_run([&] {
    try {
      const Observer give = [&](const ObservedInstruction& made) {
        for (const ObservedTensor& tensor : made.tensors) {
          reference.give(tensor.name, tensor.parts.at(0));  // on one device a part is the whole
        }
      };
      result.unsplit = unsplit.run(inputs, {.observer = give});
    } catch (...) {
      failure = std::current_exception();
    }
    reference.give_no_more();
  });
  LayerReport& report = result.report;
  try {
    const Observer compare_made = [&](const ObservedInstruction& made) {
      for (const ObservedTensor& tensor : made.tensors) {
        const std::optional<Tensor> whole = reference.take(tensor.name);
        if (!whole) {
          ++report.not_compared;
          continue;
        }
        report.layers.push_back({tensor.name, tensor.layout, made.op, made.name,
                                 compare_parts(tensor, *whole, tolerance)});
      }
    };
    result.split = split.run(inputs, {.observer = compare_made});
  } catch (...) {
    reference.abandon();
    unsplit_run.join();
    throw;
  }
  unsplit_run.join();
  if (failure) std::rethrow_exception(failure);
  report.peak_bytes = reference.peak_bytes();
  return result;
}

std::string layer_table(const LayerReport& report) {
  std::string out = fmt::format("{} {} {:>10} {:>10}\n", cell("tensor", 38), cell("layout", 12),
                                "max abs", "max rel");
  for (const Layer& layer : report.layers) {
    out += fmt::format("{} {} {:>10.2e} {:>10.2e} {}\n", cell(layer.tensor, 38),
                       cell(short_layout(layer.layout), 12), layer.difference.max_abs,
                       layer.difference.max_rel, layer.difference.passed() ? "pass" : "FAIL");
  }
  if (report.not_compared > 0) {
    out += fmt::format("{} result(s) are made by the split run alone\n", report.not_compared);
  }
  const Layer* first = report.first_difference();
  if (first == nullptr) return out + "no tensor differs by more than the tolerance\n";
  return out + fmt::format(
                   "first difference: tensor '{}', {}, made by {} '{}'\n"
                   "  {} of {} elements differ, the first is number {}\n",
                   first->tensor, first->layout, first->op, first->node, first->difference.failed,
                   first->difference.elements, first->difference.first_failed);
}

void add_json(const LayerReport& report, Json& json) {
  json["layers"] = Json::array();
  for (const Layer& layer : report.layers) json["layers"].push_back(to_json(layer));
  const Layer* first = report.first_difference();
  json["first_difference"] = first == nullptr ? Json() : to_json(*first);
  json["not_compared"] = report.not_compared;
}

}  // namespace cleave::cli
