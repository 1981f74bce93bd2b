// Times the kernels of attention on a GPU, by kernel and problem:
//
//   bench_gpu_attention [PART OF A NAME]
//
// bfloat16, many calls in one CUDA graph, as a program's run has them; the median of replays, and
// what making the kernel ready took the first time, device code that is not cached yet included.
// Operands lie as projections leave them: [batch, row, head, depth]. The results are compared with
// those of the kernel that works in float32, which is not timed; the exit code says whether they
// agree.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backend/kernel_trial.h"
#include "base/half.h"
#include "cleave/error.h"
#include "runtime/backends.h"

namespace cleave::backend {
namespace {

enum class Mask { kNone, kShownKeys, kShown, kAdded };

struct Case {
  const char* name;
  int64_t batches, heads, kv_heads, rows, keys, depth;
  bool causal = false;
  Mask mask = Mask::kNone;
  int64_t row_offset = 0, rows_total = 0;  // of a rank that has some of the rows
};

constexpr Case kCases[] = {
    {"image", 1, 24, 24, 4608, 4608, 128},
    {"image, half of the heads", 1, 12, 12, 4608, 4608, 128},
    {"image, half of the rows", 1, 24, 24, 2304, 4608, 128},
    {"image, keys masked", 1, 24, 24, 4608, 4608, 128, false, Mask::kShownKeys},
    {"image, masked", 1, 24, 24, 4608, 4608, 128, false, Mask::kShown},
    {"image, mask added", 1, 24, 24, 4608, 4608, 128, false, Mask::kAdded},
    {"image, depth 64", 2, 10, 10, 4096, 4096, 64},
    {"image, depth 160", 2, 8, 8, 1024, 1024, 160},
    {"image, depth 256", 1, 4, 4, 4096, 4096, 256},
    {"image on text", 2, 10, 10, 4096, 77, 64},
    {"prompt", 1, 64, 8, 2048, 2048, 128, true},
    {"prompt, half of the heads", 1, 32, 4, 2048, 2048, 128, true},
    {"prompt, half of the rows", 1, 64, 8, 1024, 2048, 128, true, Mask::kNone, 1024, 2048},
    {"prompt, masked too", 1, 64, 8, 2048, 2048, 128, true, Mask::kShownKeys},
    {"prompt, short", 1, 32, 8, 256, 256, 128, true},
    {"prompt, very short", 1, 32, 8, 32, 32, 128, true},
    {"words", 8, 12, 12, 512, 512, 64, false, Mask::kShownKeys},
    {"words, fewer", 1, 12, 12, 512, 512, 64, false, Mask::kShownKeys},
    {"words, few", 1, 12, 12, 128, 128, 64, false, Mask::kShownKeys},
    {"picture", 1, 12, 12, 197, 197, 64},
    {"picture", 32, 12, 12, 197, 197, 64},
    {"token", 1, 64, 8, 1, 2048, 128, true},
    {"token", 1, 64, 8, 1, 16384, 128, true},
    {"token", 1, 8, 1, 1, 2048, 128, true},
    {"token", 16, 64, 8, 1, 2048, 128, true},
    {"token", 64, 32, 32, 1, 1024, 128, true},
    {"tokens", 1, 64, 8, 4, 2048, 128, true},
    {"tokens", 1, 64, 8, 16, 2048, 128, true},
};

TensorView heads_inside(int64_t batches, int64_t heads, int64_t rows, int64_t depth) {
  TensorView view = TensorView::dense(DType::kBFloat16, {batches, heads, rows, depth});
  view.strides = {rows * heads * depth, depth, heads * depth, 1};
  return view;
}

Attributes attributes_of(const Case& c) {
  Attributes attributes = {{"scale", 1 / std::sqrt(static_cast<double>(c.depth))},
                           {"group", Dim(c.heads / c.kv_heads)},
                           {"causal", Dim(c.causal ? 1 : 0)}};
  if (c.rows_total != 0) {
    attributes.set("row_offset", Dim(c.row_offset));
    attributes.set("rows_total", Dim(c.rows_total));
  }
  return attributes;
}

KernelProblem problem_of(const Case& c, const Attributes& attributes) {
  KernelProblem problem{.op = "attention",
                        .attributes = attributes,
                        .inputs = {heads_inside(c.batches, c.heads, c.rows, c.depth),
                                   heads_inside(c.batches, c.kv_heads, c.keys, c.depth),
                                   heads_inside(c.batches, c.kv_heads, c.keys, c.depth)},
                        .outputs = {heads_inside(c.batches, c.heads, c.rows, c.depth)}};
  const DType type = c.mask == Mask::kAdded ? DType::kBFloat16 : DType::kBool;
  if (c.mask == Mask::kShownKeys) {
    problem.inputs.push_back(TensorView::dense(type, {c.batches, 1, 1, c.keys}));
  } else if (c.mask != Mask::kNone) {
    problem.inputs.push_back(TensorView::dense(type, {c.batches, 1, c.rows, c.keys}));
  }
  return problem;
}

int64_t bytes_of(const TensorView& view) {
  return view.elements() * static_cast<int64_t>(size_of(view.dtype));
}

// Operands in a device's memory, and what a kernel makes of them.
class Operands {
 public:
  Operands(const KernelProblem& problem, Device& device) : problem_(problem), device_(device) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (const TensorView& view : problem.inputs) {
      std::vector<std::byte> bytes(static_cast<size_t>(bytes_of(view)));
      for (int64_t i = 0; i < view.elements(); ++i) {
        if (view.dtype == DType::kBool) {
          bytes[static_cast<size_t>(i)] = std::byte{i % 3 != 1};
          continue;
        }
        const BFloat16 value(normal(random));
        std::memcpy(bytes.data() + 2 * i, &value, 2);
      }
      buffers_.push_back(device.allocate(bytes_of(view), "an operand"));
      device.copy_to_device(buffers_.back().data(), bytes.data(), bytes_of(view),
                            device.default_stream());
      device.synchronize(device.default_stream());
      inputs_.push_back(buffers_.back().data());
    }
  }

  std::vector<BFloat16> results_of(const Kernel& kernel, double* prepare_ms) {
    using Clock = std::chrono::steady_clock;
    KernelCache cache(device_);
    const auto start = Clock::now();
    const auto prepared = kernel.prepare(problem_, cache);
    *prepare_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    const TensorView& view = problem_.outputs[0];
    const Buffer out = device_.allocate(bytes_of(view), "a result");
    const Buffer workspace = device_.allocate(prepared->workspace_bytes(), "a workspace");
    void* const target = out.data();
    prepared->run(inputs_, {&target, 1},
                  {workspace.data(), device_.pool(), device_.default_stream()});
    std::vector<BFloat16> results(static_cast<size_t>(view.elements()));
    device_.copy_to_host(results.data(), out.data(), bytes_of(view), device_.default_stream());
    device_.synchronize(device_.default_stream());
    return results;
  }

 private:
  const KernelProblem& problem_;
  Device& device_;
  std::vector<Buffer> buffers_;
  std::vector<const void*> inputs_;
};

// The largest difference, relative to the largest result.
double difference(const std::vector<BFloat16>& a, const std::vector<BFloat16>& b) {
  double largest = 0;
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double apart = std::fabs(double{static_cast<float>(a[i])} - static_cast<float>(b[i]));
    if (std::isnan(apart)) return apart;
    most = std::max(most, apart);
    largest = std::max(largest, std::fabs(double{static_cast<float>(b[i])}));
  }
  return largest == 0 ? most : most / largest;
}

double us_of(const Kernel& kernel, const KernelProblem& problem, Device& device) {
  constexpr size_t kCalls = 15;
  KernelCache cache(device);
  KernelTrial trial(kernel, problem, cache);
  trial.call();
  std::vector<double> us;
  for (size_t i = 0; i < kCalls; ++i) us.push_back(trial.call_us());
  std::nth_element(us.begin(), us.begin() + kCalls / 2, us.end());
  return us[kCalls / 2];
}

bool run_case(const Case& c, const KernelRegistry& registry, Device& device) {
  const Attributes attributes = attributes_of(c);
  const KernelProblem problem = problem_of(c, attributes);
  std::printf("%s: %lld x %lld/%lld heads x %lld x %lld x %lld%s\n", c.name,
              static_cast<long long>(c.batches), static_cast<long long>(c.heads),
              static_cast<long long>(c.kv_heads), static_cast<long long>(c.rows),
              static_cast<long long>(c.keys), static_cast<long long>(c.depth),
              c.causal ? ", causal" : "");
  Operands operands(problem, device);
  double ms = 0;
  std::vector<BFloat16> expected;
  std::vector<const Kernel*> timed;
  for (const Kernel* kernel : registry.takers(problem)) {
    const bool is_plain = kernel->name() == "attention.plain";
    const bool is_expected = kernel->name() == "attention.tiles" || (is_plain && expected.empty());
    if (is_expected) expected = operands.results_of(*kernel, &ms);
    if (is_expected ? is_plain : !is_plain) timed.push_back(kernel);
  }
  const double seen = c.causal && c.rows > 1 ? (c.rows_total != 0 ? 0.75 : 0.5) : 1.0;
  const double flops =
      4 * seen * static_cast<double>(c.batches * c.heads * c.rows * c.keys * c.depth);
  bool agrees = true;
  for (const Kernel* kernel : timed) {
    const double apart = difference(operands.results_of(*kernel, &ms), expected);
    const double us = us_of(*kernel, problem, device);
    const bool is_near = apart < 0.03;
    agrees = agrees && is_near;
    std::printf("  %-18s %10.2f us %8.1f TFLOP/s   made ready in %8.1f ms   apart %.4f%s\n",
                std::string(kernel->name()).c_str(), us, flops / us * 1e-6, ms, apart,
                is_near ? "" : " !");
    std::fflush(stdout);
  }
  return agrees;
}

}  // namespace
}  // namespace cleave::backend

int main(int argc, char** argv) {
  using namespace cleave::backend;
  if (cleave::runtime::cuda_device_count() == 0) {
    std::printf("this machine has no GPU\n");
    return 0;
  }
  bool agree = true;
  try {
    const auto backend = cleave::runtime::find_backend("cuda");
    const auto device = backend->make_device({});
    const KernelRegistry registry = backend->kernels();
    for (const Case& c : kCases) {
      const std::string name = c.name;
      if (argc > 1 && name.find(argv[1]) == std::string::npos) continue;
      agree = run_case(c, registry, *device) && agree;
    }
  } catch (const cleave::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return agree ? 0 : 1;
}
