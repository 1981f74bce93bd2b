// Times ops on the first GPU whose few lines are long, as vocabularies make them, beside what the
// bytes alone would take: a line a case, "softmax f16 1 x 128256", the kernel chosen, microseconds
// of a call among others in a recording, and the floor. bench/peers/gpu_rows.py runs PyTorch beside
// it.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "backend/kernel_trial.h"
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
  int64_t k = 0;  // of top_k
};

constexpr int64_t kVocabulary = 128256;
constexpr int64_t kMillion = int64_t{1} << 20;

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
  }
  return cases;
}

std::vector<TensorView> outputs_of(const Case& c) {
  const std::string op = c.op;
  if (op == "arg_max") return {TensorView::dense(DType::kInt64, {c.lines})};
  if (op == "reduce_sum" || op == "reduce_max") return {TensorView::dense(c.type, {c.lines})};
  if (op != "top_k") return {TensorView::dense(c.type, {c.lines, c.extent})};
  return {TensorView::dense(c.type, {c.lines, c.k}),
          TensorView::dense(DType::kInt64, {c.lines, c.k})};
}

void time_case(const Case& c, const KernelRegistry& registry, KernelCache& cache) {
  const bool reduces = std::string_view(c.op).starts_with("reduce");
  Attributes attributes = {{"axis", Dim(1)}};
  if (reduces) attributes = {{"axes", std::vector<Dim>{Dim(1)}}};
  if (c.k > 0) attributes = {{"axis", Dim(1)}, {"k", Dim(c.k)}};
  const KernelProblem problem{.op = c.op,
                              .attributes = attributes,
                              .inputs = {TensorView::dense(c.type, {c.lines, c.extent})},
                              .outputs = outputs_of(c)};
  int64_t bytes = problem.inputs[0].elements() * static_cast<int64_t>(size_of(c.type));
  for (const TensorView& out : problem.outputs) {
    bytes += out.elements() * static_cast<int64_t>(size_of(out.dtype));
  }
  std::string name =
      fmt::format("{} {} {} x {}", c.op, std::string(name_of(c.type)), c.lines, c.extent);
  if (c.k > 0) name += fmt::format(" k {}", c.k);
  for (const Kernel* kernel : registry.takers(problem)) {
    KernelTrial trial(*kernel, problem, cache);
    trial.call();
    std::vector<double> times(9);
    for (double& us : times) us = trial.call_us();
    std::sort(times.begin(), times.end());
    fmt::print("{}\t{}\t{:.2f}\t{:.2f}\n", name, std::string(kernel->name()),
               times[times.size() / 2], static_cast<double>(bytes) / kBytesPerUs + kLaunchUs);
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace cleave::backend

int main() {
  using namespace cleave;
  try {
    const auto backend = runtime::find_backend("cuda");
    const auto device = backend->make_device({});
    backend::KernelCache cache(*device);
    const backend::KernelRegistry registry = backend->kernels();
    for (const backend::Case& c : backend::all_cases()) backend::time_case(c, registry, cache);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
