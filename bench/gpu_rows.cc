//   bench_gpu_rows [PART OF A CASE'S NAME]
//
// Times ops on the first GPU whose few lines are long, as vocabularies make them, and the rows of
// usual networks, beside what the bytes alone would take: a line a case, "softmax f16 1 x 128256",
// a kernel that takes it, microseconds of a call among others in a recording, and the floor.
// bench/peers/gpu_rows.py runs PyTorch beside it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/kernel_trial.h"
#include "base/hash.h"
#include "cleave/error.h"
#include "runtime/backends.h"

namespace cleave::backend {
namespace {

// Of an H200, as `cleave measure` finds them.
constexpr double kBytesPerUs = 4.2e6;
constexpr double kLaunchUs = 2;

struct Case {
  const char* op;
  DType type;
  int64_t lines;
  int64_t extent;
  int64_t k = 0;  // of top_k; columns of a product
};

constexpr int64_t kVocabulary = 128256;
constexpr int64_t kMillion = int64_t{1} << 20;

// Of networks: heads, hidden sizes of small and large transformers; lines and extents.
constexpr std::pair<int64_t, int64_t> kRows[] = {{65536, 64},  {65536, 128}, {3152, 768},
                                                 {4608, 3072}, {1, 8192},    {64, 8192},
                                                 {1024, 8192}, {2048, 4096}};

// What global poolings see: planes of images and pixels of each.
constexpr std::pair<int64_t, int64_t> kImages[] = {{65536, 49}, {3072, 12544}};

// Products of few rows with the weights of a large decoder's layer, half of them and whole.
constexpr std::pair<int64_t, int64_t> kWeights[] = {
    {8192, 5120}, {4096, 8192}, {8192, 28672}, {14336, 8192}, {8192, 57344}};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const DType type : {DType::kFloat16, DType::kFloat32}) {
    for (const int64_t lines : {1, 64}) {
      cases.push_back({"softmax", type, lines, kVocabulary});
      cases.push_back({"arg_max", type, lines, kVocabulary});
      cases.push_back({"top_k", type, lines, kVocabulary, 50});
    }
    cases.push_back({"softmax", type, 2048, 32000});
    cases.push_back({"arg_max", type, 2048, 32000});
    cases.push_back({"top_k", type, 2048, 32000, 50});
    cases.push_back({"top_k", type, 1, kVocabulary, 1000});
    cases.push_back({"top_k", type, 1, kVocabulary, 10000});
    cases.push_back({"top_k", type, 1, kMillion, kMillion});
    cases.push_back({"cumsum", type, 1, kMillion});
    cases.push_back({"cumsum", type, 64, kVocabulary});
    cases.push_back({"reduce_sum", type, 1, 16 * kMillion});
    cases.push_back({"reduce_max", type, 1, 16 * kMillion});
    cases.push_back({"reduce_sum", type, 64, kVocabulary});
    for (const auto& [planes, pixels] : kImages) {
      cases.push_back({"reduce_sum", type, planes, pixels});
      cases.push_back({"reduce_max", type, planes, pixels});
    }
  }
  for (const int64_t lines : {1, 2, 4, 8}) {
    for (const auto& [extent, columns] : kWeights) {
      cases.push_back({"matmul", DType::kFloat16, lines, extent, columns});
    }
  }
  for (const auto& [lines, extent] : kRows) {
    cases.push_back({"layer_norm", DType::kFloat16, lines, extent});
    cases.push_back({extent > 1024 ? "rms_norm" : "softmax", DType::kFloat16, lines, extent});
  }
  return cases;
}

bool is_product(const Case& c) { return c.op == std::string_view("matmul"); }
bool is_norm(const Case& c) { return std::string_view(c.op).ends_with("_norm"); }

std::vector<TensorView> inputs_of(const Case& c) {
  std::vector<TensorView> inputs = {TensorView::dense(c.type, {c.lines, c.extent})};
  if (is_product(c)) inputs.push_back(TensorView::dense(c.type, {c.extent, c.k}));
  if (is_norm(c)) inputs.push_back(TensorView::dense(c.type, {c.extent}));
  if (c.op == std::string_view("layer_norm")) inputs.push_back(inputs[1]);
  return inputs;
}

std::vector<TensorView> outputs_of(const Case& c) {
  const std::string op = c.op;
  if (op == "arg_max") return {TensorView::dense(DType::kInt64, {c.lines})};
  if (op == "reduce_sum" || op == "reduce_max") return {TensorView::dense(c.type, {c.lines})};
  if (is_product(c)) return {TensorView::dense(c.type, {c.lines, c.k})};
  if (op != "top_k") return {TensorView::dense(c.type, {c.lines, c.extent})};
  return {TensorView::dense(c.type, {c.lines, c.k}),
          TensorView::dense(DType::kInt64, {c.lines, c.k})};
}

std::string name_of_case(const Case& c) {
  std::string name =
      fmt::format("{} {} {} x {}", c.op, std::string(name_of(c.type)), c.lines, c.extent);
  if (c.k > 0) name += fmt::format(" k {}", c.k);
  return name;
}

double median_us(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache) {
  KernelTrial trial(kernel, problem, cache);
  trial.call();
  std::vector<double> times(9);
  for (double& us : times) us = trial.call_us();
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void time_case(const Case& c, const KernelRegistry& registry, KernelCache& cache) {
  const bool reduces = std::string_view(c.op).starts_with("reduce");
  Attributes attributes = {{"axis", Dim(1)}};
  if (reduces) attributes = {{"axes", std::vector<Dim>{Dim(1)}}};
  if (c.k > 0) attributes = {{"axis", Dim(1)}, {"k", Dim(c.k)}};
  if (is_norm(c)) attributes = {{"axes", Dim(1)}, {"epsilon", 1e-5}};
  if (is_product(c)) attributes = {{"transpose_a", Dim(0)}, {"transpose_b", Dim(0)}};
  KernelProblem problem{
      .op = c.op, .attributes = attributes, .inputs = inputs_of(c), .outputs = outputs_of(c)};
  if (is_product(c)) problem.constant_keys = {0, hash_combine(c.extent, c.k)};
  int64_t bytes = 0;
  for (const auto* views : {&problem.inputs, &problem.outputs}) {
    for (const TensorView& view : *views) {
      bytes += view.elements() * static_cast<int64_t>(size_of(view.dtype));
    }
  }
  const double floor_us = static_cast<double>(bytes) / kBytesPerUs + kLaunchUs;
  for (const Kernel* kernel : registry.takers(problem)) {
    if (kernel->name() == "matmul.plain") continue;  // for what no other takes
    const auto show = [&](const char* how, double us) {
      fmt::print("{}\t{}{}\t{:.2f}\t{:.2f}\n", name_of_case(c), std::string(kernel->name()), how,
                 us, floor_us);
    };
    show("", median_us(*kernel, problem, cache));
    std::optional<double> best;
    for (const std::string& algorithm : kernel->algorithms(problem, cache)) {
      KernelProblem one = problem;
      one.algorithm = algorithm;
      const double us = median_us(*kernel, one, cache);
      if (!best || us < *best) best = us;
    }
    if (best) show(", tuned", *best);
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace cleave::backend

int main(int argc, char** argv) {
  using namespace cleave;
  const std::string part = argc > 1 ? argv[1] : "";
  try {
    const auto backend = runtime::find_backend("cuda");
    const auto device = backend->make_device({});
    backend::KernelCache cache(*device);
    const backend::KernelRegistry registry = backend->kernels();
    for (const backend::Case& c : backend::all_cases()) {
      if (backend::name_of_case(c).find(part) == std::string::npos) continue;
      backend::time_case(c, registry, cache);
    }
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
