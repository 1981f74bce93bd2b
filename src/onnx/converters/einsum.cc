// Einsum: operands are taken together from left to right, each pair by a matrix product.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "onnx/converters.h"
#include "onnx/quote.h"

namespace cleave::onnx {
namespace {

// A dimension's letter, or kEllipsis and more: the dimensions of an ellipsis, from the right.
using Label = int;
using Labels = std::vector<Label>;
constexpr Label kEllipsis = 256;

// An operand on the way, its dimensions named.
struct Term {
  ir::ValueId value;
  Labels labels;
};

bool contains(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

size_t place_of(const Labels& labels, Label label) {
  return static_cast<size_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}

Labels joined(Labels labels, const Labels& more) {
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

// "bij,bjk->bik" taken apart. What stands for an ellipsis is `ellipsis_rank` labels.
class Equation {
 public:
  explicit Equation(std::string text) : text_(std::move(text)) {
    std::erase(text_, ' ');
    const size_t arrow = text_.find("->");
    const std::string left = text_.substr(0, arrow);
    for (size_t begin = 0; begin <= left.size();) {
      const size_t end = std::min(left.find(',', begin), left.size());
      inputs_.push_back(left.substr(begin, end - begin));
      begin = end + 1;
    }
    if (arrow == std::string::npos) {
      output_ = implicit_output();
    } else {
      output_ = text_.substr(arrow + 2);
    }
  }

  const std::vector<std::string>& inputs() const { return inputs_; }
  const std::string& output() const { return output_; }

  Labels labels(const std::string& term, size_t ellipsis_rank) const {
    Labels result;
    bool has_ellipsis = false;
    for (size_t i = 0; i < term.size(); ++i) {
      if (term.compare(i, 3, "...") == 0 && !has_ellipsis) {
        has_ellipsis = true;
        for (size_t d = ellipsis_rank; d-- > 0;) result.push_back(kEllipsis + static_cast<int>(d));
        i += 2;
      } else if (std::isalpha(static_cast<unsigned char>(term[i])) != 0) {
        result.push_back(term[i]);
      } else {
        fail("has " + quote(std::string(1, term[i])) + " where a letter must be");
      }
    }
    return result;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalid, "the equation " + quote(text_) + " " + what);
  }

 private:
  // The ellipsis, then the letters that occur once, in order.
  std::string implicit_output() const {
    std::map<char, int> counts;
    std::string result;
    for (const std::string& term : inputs_) {
      if (term.find("...") != std::string::npos) result = "...";
      for (const char letter : term) {
        if (letter != '.') ++counts[letter];
      }
    }
    for (const auto& [letter, count] : counts) {
      if (count == 1) result += letter;
    }
    return result;
  }

  std::string text_;
  std::vector<std::string> inputs_;
  std::string output_;
};

class Einsum {
 public:
  explicit Einsum(Conversion& c) : c_(c), equation_(c.string("equation")) {
    if (equation_.inputs().size() != c.input_count()) {
      equation_.fail("is for " + std::to_string(equation_.inputs().size()) + " operands, not " +
                     std::to_string(c.input_count()));
    }
    size_t ellipsis_rank = 0;
    for (size_t i = 0; i < c.input_count(); ++i) {
      terms_.push_back(named(i));
      for (const Label label : terms_.back().labels) {
        if (label >= kEllipsis) {
          ellipsis_rank = std::max(ellipsis_rank, static_cast<size_t>(label - kEllipsis) + 1);
        }
      }
    }
    output_ = equation_.labels(equation_.output(), ellipsis_rank);
    for (size_t i = 0; i < output_.size(); ++i) {
      if (place_of(output_, output_[i]) != i) equation_.fail("repeats a letter in its result");
    }
  }

  ir::ValueId result() {
    for (Term& term : terms_) term = diagonal(term);
    find_sizes();
    for (Term& term : terms_) term = without_ones(term);
    Term all = summed(terms_[0], needed_behind(0));
    for (size_t i = 1; i < terms_.size(); ++i) {
      const std::set<Label> needed = needed_behind(i);
      std::set<Label> of_left = needed, of_right = needed;
      of_left.insert(terms_[i].labels.begin(), terms_[i].labels.end());
      of_right.insert(all.labels.begin(), all.labels.end());
      all = combined(summed(all, of_left), summed(terms_[i], of_right), needed);
    }
    return permuted(all, output_);
  }

 private:
  Term named(size_t i) {
    const std::string& text = equation_.inputs()[i];
    const size_t rank = c_.rank(i);
    const size_t letters = equation_.labels(text, 0).size();
    const bool has_ellipsis = text.find("...") != std::string::npos;
    if (letters > rank || (!has_ellipsis && letters != rank)) {
      equation_.fail("does not fit operand " + std::to_string(i) + ", " + c_.type(i).text());
    }
    return {c_.input(i), equation_.labels(text, rank - letters)};
  }

  // Of a letter that an operand repeats, the elements whose indices are equal: n · n elements in a
  // row, of which every (n + 1)-th is one.
  Term diagonal(Term term) {
    for (size_t first = 0; first < term.labels.size(); ++first) {
      const Label label = term.labels[first];
      const auto again = std::find(term.labels.begin() + static_cast<ptrdiff_t>(first) + 1,
                                   term.labels.end(), label);
      if (again == term.labels.end()) continue;
      const auto second = static_cast<size_t>(again - term.labels.begin());
      std::vector<size_t> order;
      Labels labels;
      for (size_t d = 0; d < term.labels.size(); ++d) {
        if (d == first || d == second) continue;
        order.push_back(d);
        labels.push_back(term.labels[d]);
      }
      order.insert(order.end(), {first, second});
      labels.push_back(label);
      const ir::ValueId square = c_.transpose(term.value, order);
      Shape shape = c_.shape_of(square);
      const Dim extent = shape.back();
      c_.require_equal(shape[shape.size() - 2], extent, "the dimensions of a diagonal");
      shape.pop_back();
      shape.back() = extent * extent;
      std::vector<Dim> step(shape.size(), 1);
      step.back() = extent + 1;
      const ir::ValueId flat = c_.reshape(square, shape);
      shape.back() = extent;
      const ir::ValueId value =
          c_.help("slice", {flat},
                  {{"begin", std::vector<Dim>(shape.size())}, {"extent", shape}, {"step", step}});
      return diagonal({value, labels});
    }
    return term;
  }

  void find_sizes() {
    for (const Term& term : terms_) {
      const Shape shape = c_.shape_of(term.value);
      for (size_t d = 0; d < shape.size(); ++d) {
        const auto [at, is_new] = sizes_.emplace(term.labels[d], shape[d]);
        if (!is_new) at->second = broadcast_shapes({{at->second}, {shape[d]}})[0];
      }
    }
    for (const Label label : output_) {
      if (!sizes_.contains(label)) equation_.fail("has a letter in its result that no operand has");
    }
  }

  // A dimension of 1 that others stretch says nothing.
  Term without_ones(const Term& term) {
    const Shape shape = c_.shape_of(term.value);
    Shape kept;
    Labels labels;
    for (size_t d = 0; d < shape.size(); ++d) {
      const Dim& size = sizes_.at(term.labels[d]);
      if (shape[d].is(1) && !size.is(1)) continue;
      c_.require_equal(shape[d], size, "the dimensions that a letter of an equation names");
      kept.push_back(shape[d]);
      labels.push_back(term.labels[d]);
    }
    return {c_.reshape(term.value, kept), labels};
  }

  // The labels of the result and of the terms behind number i.
  std::set<Label> needed_behind(size_t i) const {
    std::set<Label> needed(output_.begin(), output_.end());
    for (size_t k = i + 1; k < terms_.size(); ++k) {
      needed.insert(terms_[k].labels.begin(), terms_[k].labels.end());
    }
    return needed;
  }

  Term summed(const Term& term, const std::set<Label>& needed) {
    Labels labels;
    std::vector<Dim> axes;
    for (size_t d = 0; d < term.labels.size(); ++d) {
      if (needed.contains(term.labels[d])) {
        labels.push_back(term.labels[d]);
      } else {
        axes.emplace_back(static_cast<int64_t>(d));
      }
    }
    if (axes.empty()) return term;
    return {c_.help("reduce_sum", {term.value}, {{"axes", axes}}), labels};
  }

  ir::ValueId permuted(const Term& term, const Labels& order) {
    std::vector<size_t> permutation;
    for (const Label label : order) permutation.push_back(place_of(term.labels, label));
    return c_.transpose(term.value, permutation);
  }

  Shape sizes(const Labels& labels) const {
    Shape shape;
    for (const Label label : labels) shape.push_back(sizes_.at(label));
    return shape;
  }

  // The operand of a matrix product, [batch.., rows, columns] or, where its dimensions lie that
  // way, [batch.., columns, rows] with `swapped` set. Rows that may stay apart do.
  ir::ValueId matrix(const Term& term, const Labels& batch, const Labels& rows,
                     const Labels& columns, bool may_be_apart, bool& swapped) {
    swapped = !rows.empty() && term.labels == joined(joined(batch, columns), rows);
    const Labels& first = swapped ? columns : rows;
    const Labels& second = swapped ? rows : columns;
    const ir::ValueId ordered = permuted(term, joined(joined(batch, first), second));
    Shape shape = sizes(batch);
    if (may_be_apart && !swapped && !rows.empty()) {
      shape = sizes(joined(batch, rows));
    } else {
      shape.push_back(product(sizes(first)));
    }
    shape.push_back(product(sizes(second)));
    return c_.reshape(ordered, shape);
  }

  // Every label of a and b is in the other one or needed.
  Term combined(const Term& a, const Term& b, const std::set<Label>& needed) {
    Labels batch, rows, columns, inner;
    for (const Label label : a.labels) {
      (!contains(b.labels, label) ? rows : needed.contains(label) ? batch : inner).push_back(label);
    }
    for (const Label label : b.labels) {
      if (!contains(a.labels, label)) columns.push_back(label);
    }
    const Labels labels = joined(joined(batch, rows), columns);
    if (inner.empty()) return {outer_product(a, b, batch, rows, columns), labels};
    bool is_a_swapped = false;
    bool is_b_swapped = false;
    // With one matrix on the right, all of the left's dimensions but the last are rows.
    const ir::ValueId left = matrix(a, batch, rows, inner, batch.empty(), is_a_swapped);
    const ir::ValueId right = matrix(b, batch, inner, columns, false, is_b_swapped);
    Attributes attributes;
    if (is_a_swapped) attributes.set("transpose_a", Dim(1));
    if (is_b_swapped) attributes.set("transpose_b", Dim(1));
    const ir::ValueId product = c_.emit("matmul", {left, right}, std::move(attributes));
    return {c_.reshape(product, sizes(labels)), labels};
  }

  ir::ValueId outer_product(const Term& a, const Term& b, const Labels& batch, const Labels& rows,
                            const Labels& columns) {
    Shape left = sizes(joined(batch, rows));
    left.insert(left.end(), columns.size(), Dim(1));
    Shape right = sizes(batch);
    right.insert(right.end(), rows.size(), Dim(1));
    const Shape last = sizes(columns);
    right.insert(right.end(), last.begin(), last.end());
    return c_.binary("mul", c_.reshape(permuted(a, joined(batch, rows)), left),
                     c_.reshape(permuted(b, joined(batch, columns)), right));
  }

  Conversion& c_;
  Equation equation_;
  std::vector<Term> terms_;
  Labels output_;
  std::map<Label, Dim> sizes_;
};

void einsum(Conversion& c) { c.output(0, Einsum(c).result()); }

}  // namespace

void add_einsum_converters(ConverterTable& table) { table.add("Einsum", 12, einsum); }

}  // namespace cleave::onnx
