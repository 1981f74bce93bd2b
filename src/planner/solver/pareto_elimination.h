// Variable elimination with two costs: each table entry holds the assignments of what was
// eliminated that no other beats in both cost and bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cleave::solver {

// All costs are at a price for bytes and reduced: at least 0, the sum being what an assignment
// costs above the Lagrangian bound. So all but few assignments exceed `max_cost` early, and tables
// stay small.
class ParetoElimination {
 public:
  struct Limits {
    double price;             // of a byte, part of the costs
    double max_cost;          // assignments above are of no interest
    double max_bytes;         // assignments above are not allowed
    double equal_cost;        // differences below are rounding
    size_t max_entries;       // of one table, and choices of all its entries together
    uint64_t max_operations;  // of all
    // Of one entry; where there are more, some spread over all bytes are kept, and the result is
    // an assignment within the limits, not always the cheapest.
    size_t max_choices;
  };
  struct Result {
    bool complete = false;         // within the limits on work
    bool exact = false;            // no choice was left out
    std::vector<uint32_t> values;  // the cheapest without the price; empty: none within the limits
  };

  explicit ParetoElimination(const Limits& limits) : limits_(limits) {}

  void add_variable(std::span<const double> cost, std::span<const double> bytes);
  // Row-major; a < b.
  void add_pairwise(uint32_t a, uint32_t b, std::span<const double> cost,
                    std::span<const double> bytes);
  // `order`: every variable once. Adds to `operations`.
  Result run(const std::vector<uint32_t>& order, uint64_t& operations);

 private:
  // One assignment of the variables eliminated into an entry.
  struct Choice {
    double cost;
    double bytes;
    uint32_t node;  // how it came about
  };
  // Both sides together, or (left alone) with one variable's value.
  struct Node {
    uint32_t left;
    uint32_t right;
    uint32_t variable;
    uint32_t value;
  };
  struct Factor {
    std::vector<uint32_t> scope;  // ascending
    std::vector<size_t> start;    // of each entry's choices; one more at the end
    std::vector<Choice> choices;
  };

  bool eliminate(uint32_t variable, uint64_t& operations);
  std::optional<Factor> combine(uint32_t variable, const std::vector<uint32_t>& used,
                                uint64_t& operations);
  std::vector<uint32_t> factors_with(uint32_t variable) const;
  // Appends left + right; false: too many.
  void add_sums(const std::vector<Choice>& left, std::span<const Choice> right,
                std::vector<Choice>& sums, uint64_t& operations);
  void keep_undominated(std::vector<Choice>& choices);
  void thin_out(std::vector<Choice>& choices);
  void remember(std::vector<Choice>& choices, uint32_t variable, uint32_t value);
  void collect(uint32_t node, std::vector<uint32_t>& values) const;

  Limits limits_;
  std::vector<std::vector<Choice>> unary_;
  std::vector<Factor> factors_;
  std::vector<std::vector<uint32_t>> factors_of_;
  std::vector<Choice> done_;  // of all variables whose elimination left no scope
  std::vector<Node> nodes_;
  bool exact_ = true;
};

}  // namespace cleave::solver
