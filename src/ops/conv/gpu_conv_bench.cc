// Times convolutions, group norms and poolings on a GPU, by kernel, problem and format:
//
//   bench_gpu_conv [PART OF A NAME, or `norms` for group norms and poolings]
//
// Many calls in one CUDA graph, as a program's run has them. Of each kernel: as it is used untuned,
// and, of large problems, by the fastest of its algorithms; and how long it takes to make ready.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "backend/kernel_trial.h"
#include "cleave/error.h"
#include "runtime/backends.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

struct Case {
  const char* name;
  std::vector<int64_t> x;
  int64_t outputs = 0;
  int64_t taps = 3;
  int64_t stride = 1;
  int64_t groups = 1;
  bool tunes = false;
  bool chains = false;  // relu(conv + bias) + residual
  int64_t rows = 0;     // of the result, where it is a rank's part with the others' rows below
  DType type = DType::kFloat16;
};

struct Pool {
  const char* what;
  std::vector<int64_t> x;
  int64_t taps, stride, low, out;
};

// ResNet-50's; two of a detector's pyramid of windows.
const Pool kPools[] = {
    {"pool 3 x 3 / 2", {32, 64, 112, 112}, 3, 2, 1, 56},
    {"pool 13 x 13", {8, 256, 40, 40}, 13, 1, 6, 40},
    {"pool 5 x 5", {8, 256, 40, 40}, 5, 1, 2, 40},
};

// Images that global poolings reduce: ResNet-50's, and that of a gate of channels.
const std::vector<int64_t> kReduced[] = {{32, 2048, 7, 7}, {32, 96, 112, 112}};

const Case kCases[] = {
    {"51x51", {1, 128, 128, 128}, 128, 51, 1, 1, true},
    {"51x51, half of the rows", {1, 128, 89, 128}, 128, 51, 1, 1, true, false, 64},
    {"51x51, half of the channels", {1, 128, 128, 128}, 64, 51, 1, 1, true},
    {"31x31", {1, 64, 256, 256}, 256, 31, 1, 1, true},
    {"31x31, half of the rows", {1, 64, 143, 256}, 256, 31, 1, 1, false, false, 128},
    {"31x31, half of the channels", {1, 64, 256, 256}, 128, 31},
    {"13x13", {8, 256, 64, 64}, 512, 13, 1, 1, true},
    {"13x13, half of the images", {4, 256, 64, 64}, 512, 13},
    {"U-Net", {2, 320, 128, 128}, 320, 3, 1, 1, true},
    {"U-Net, chain", {2, 320, 128, 128}, 320, 3, 1, 1, true, true},
    {"U-Net deep", {2, 1280, 16, 16}, 1280, 3},
    {"ResNet stem", {32, 3, 224, 224}, 64, 7, 2},
    {"ResNet 56", {32, 64, 56, 56}, 64, 3, 1, 1, false, true},
    {"ResNet 56 1x1", {32, 256, 56, 56}, 64, 1, 1, 1, false, true},
    {"ResNet 7", {32, 512, 7, 7}, 512, 3, 1, 1, false, true},
    {"ResNeXt", {32, 128, 56, 56}, 128, 3, 1, 32},
    {"ConvNeXt 56", {32, 96, 56, 56}, 96, 7, 1, 96},
    {"ConvNeXt 14", {32, 384, 14, 14}, 384, 7, 1, 384},
    {"audio", {8, 512, 3000}, 512, 3},
    {"filter of 4", {8, 1024, 2048}, 1024, 4, 1, 1024},
    {"volume", {1, 32, 32, 64, 64}, 32, 3},
    {"ResNet 56, f32", {32, 64, 56, 56}, 64, 3, 1, 1, false, true, 0, DType::kFloat32},
    {"U-Net, f32", {2, 320, 64, 64}, 320, 3, 1, 1, true, false, 0, DType::kFloat32},
    {"ResNet 56 1x1, f32", {32, 256, 56, 56}, 64, 1, 1, 1, false, true, 0, DType::kFloat32},
    {"13x13, f32", {1, 64, 64, 64}, 64, 13, 1, 1, false, false, 0, DType::kFloat32},
};

double ms_since(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  return elapsed.count();
}

// The median of some calls; and what making it ready took.
struct Time {
  double us = 0;
  double ready_ms = 0;
};

Time time_of(const Kernel& kernel, const KernelProblem& problem, Device& device) {
  KernelCache cache(device);
  const auto start = std::chrono::steady_clock::now();
  KernelTrial trial(kernel, problem, cache);
  trial.call();
  device.synchronize(device.default_stream());
  Time time{0, ms_since(start)};
  std::vector<double> us;
  for (int i = 0; i < 3; ++i) us.push_back(trial.call_us());
  std::nth_element(us.begin(), us.begin() + 1, us.end());
  time.us = us[1];
  return time;
}

Attributes attributes_of(const Case& c, std::vector<int64_t>& y) {
  const size_t dims = c.x.size() - 2;
  y = {c.x[0], c.outputs};
  std::vector<Dim> outputs;
  for (size_t d = 0; d < dims; ++d) {
    y.push_back(d == 0 && c.rows > 0 ? c.rows : (c.x[2 + d] + c.stride - 1) / c.stride);
    outputs.emplace_back(y.back());
  }
  Attributes attributes = {{"strides", std::vector<Dim>(dims, c.stride)},
                           {"dilations", std::vector<Dim>(dims, 1)},
                           {"low", std::vector<Dim>(dims, c.taps / 2)},
                           {"outputs", outputs},
                           {"groups", Dim(c.groups)}};
  if (c.chains) {
    const FusedProgram chain{.inputs = 3,
                             .steps = {{.op = "add", .args = {0, 1}, .type = c.type},
                                       {.op = "relu", .args = {3}, .type = c.type},
                                       {.op = "add", .args = {4, 2}, .type = c.type}},
                             .outputs = {5}};
    chain.to_attributes(attributes, kEpiloguePrefix);
  }
  return attributes;
}

void time_conv(const Case& c, Format format, const KernelRegistry& kernels, Device& device) {
  std::vector<int64_t> y;
  const Attributes attributes = attributes_of(c, y);
  std::vector<int64_t> w = {c.outputs, c.x[1] / c.groups};
  w.resize(c.x.size(), c.taps);
  KernelProblem problem{.op = "conv", .attributes = attributes};
  problem.inputs = {TensorView::dense(c.type, c.x, format), TensorView::dense(c.type, w)};
  problem.outputs = {TensorView::dense(c.type, y, format)};
  problem.constant_keys = {0, 7};
  if (c.chains) {
    std::vector<int64_t> bias(y.size(), 1);
    bias[1] = y[1];
    problem.inputs.push_back(TensorView::dense(c.type, bias));
    problem.inputs.push_back(TensorView::dense(c.type, y, format));
    problem.constant_keys = {0, 7, 8, 0};
  }
  for (const Kernel* kernel : kernels.takers(problem)) {
    if (kernel->name() == "conv.plain") continue;
    const Time untuned = time_of(*kernel, problem, device);
    std::printf("%-30s %-13s %-18s %9.1f us, ready in %6.0f ms", c.name,
                std::string(name_of(format)).c_str(), std::string(kernel->name()).c_str(),
                untuned.us, untuned.ready_ms);
    if (c.tunes) {
      KernelCache cache(device);
      const auto start = std::chrono::steady_clock::now();
      const std::vector<std::string> algorithms = kernel->algorithms(problem, cache);
      const double named_ms = ms_since(start);
      std::string best;
      double best_us = 0;
      for (const std::string& algorithm : algorithms) {
        KernelProblem one = problem;
        one.algorithm = algorithm;
        const Time time = time_of(*kernel, one, device);
        if (best.empty() || time.us < best_us) {
          best = algorithm;
          best_us = time.us;
        }
      }
      if (!best.empty()) {
        std::printf(", %9.1f us of %zu (named in %.0f ms): %s", best_us, algorithms.size(),
                    named_ms, best.c_str());
      }
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

// Each kernel that takes it, and the bytes of the operand and the result a second.
void time_kernels(const char* what, const KernelProblem& problem, Format format,
                  const KernelRegistry& kernels, Device& device) {
  double bytes = 0;
  for (const TensorView* view : {&problem.inputs[0], &problem.outputs[0]}) {
    bytes += static_cast<double>(view->reach_bytes());
  }
  for (const Kernel* kernel : kernels.takers(problem)) {
    const Time taken = time_of(*kernel, problem, device);
    std::printf("%-30s %-13s %-24s %9.1f us, %6.0f GB/s\n", what,
                std::string(name_of(format)).c_str(), std::string(kernel->name()).c_str(), taken.us,
                bytes / taken.us / 1000);
  }
}

void time_pools(Format format, const KernelRegistry& kernels, Device& device) {
  for (const Pool& pool : kPools) {
    const auto twice = [](int64_t number) { return std::vector<Dim>{number, number}; };
    const Attributes attributes = {{"kernel", twice(pool.taps)}, {"strides", twice(pool.stride)},
                                   {"dilations", twice(1)},      {"low", twice(pool.low)},
                                   {"outputs", twice(pool.out)}, {"counted_low", twice(0)},
                                   {"counted_high", twice(0)}};
    for (const char* op : {"max_pool", "average_pool"}) {
      KernelProblem problem{.op = op, .attributes = attributes};
      problem.inputs = {TensorView::dense(DType::kFloat16, pool.x, format)};
      problem.outputs = {
          TensorView::dense(DType::kFloat16, {pool.x[0], pool.x[1], pool.out, pool.out}, format)};
      time_kernels((std::string(pool.what) + (op[0] == 'm' ? ", max" : "")).c_str(), problem,
                   format, kernels, device);
    }
  }
}

void time_reductions(Format format, const KernelRegistry& kernels, Device& device) {
  for (const std::vector<int64_t>& x : kReduced) {
    for (const char* op : {"reduce_max", "reduce_sum"}) {
      KernelProblem problem{.op = op, .attributes = {{"axes", std::vector<Dim>{2, 3}}}};
      problem.inputs = {TensorView::dense(DType::kFloat16, x, format)};
      problem.outputs = {TensorView::dense(DType::kFloat16, {x[0], x[1]})};
      const std::string what = "global pool " + std::to_string(x[2]) + " x " + std::to_string(x[3]);
      time_kernels((what + (op[7] == 'm' ? ", max" : "")).c_str(), problem, format, kernels,
                   device);
    }
  }
}

void time_others(Format format, const KernelRegistry& kernels, Device& device) {
  const auto time = [&](const char* what, const KernelProblem& problem) {
    time_kernels(what, problem, format, kernels, device);
  };
  const DType type = DType::kFloat16;
  struct Images {
    const char* what;
    std::vector<int64_t> shape;
    int64_t group;
  };
  const Images images[] = {{"group norm", {2, 320, 128, 128}, 10},
                           {"group norm, 1 image", {1, 320, 128, 128}, 10},
                           {"group norm, 4 images", {4, 320, 128, 128}, 10},
                           {"group norm, small", {2, 320, 32, 32}, 10},
                           {"group norm, many channels", {2, 1280, 16, 16}, 40},
                           {"group norm, 1 group", {1, 640, 64, 64}, 640},
                           {"instance norm", {1, 64, 256, 256}, 1}};
  for (const Images& one : images) {
    const Attributes attributes = {{"group_channels", Dim(one.group)}, {"epsilon", 1e-5}};
    KernelProblem problem{.op = "group_norm", .attributes = attributes};
    const TensorView parameter = TensorView::dense(type, {one.shape[1]});
    problem.inputs = {TensorView::dense(type, one.shape, format), parameter, parameter};
    problem.outputs = {problem.inputs[0]};
    time(one.what, problem);
  }
  // A sum of images of which one lies in another format, or both, and what is cast to it.
  for (const Format other : kImageFormats) {
    for (const DType from : {type, DType::kFloat32}) {
      FusedProgram chain{
          .inputs = 2, .steps = {{.op = "add", .args = {0, 1}, .type = type}}, .outputs = {2}};
      if (from != type) {
        chain = {.inputs = 1, .steps = {{.op = "cast", .args = {0}, .type = type}}, .outputs = {1}};
      }
      Attributes attributes;
      chain.to_attributes(attributes);
      const std::vector<int64_t> shape = {2, 320, 128, 128};
      KernelProblem problem{.op = "fused_elementwise", .attributes = attributes};
      problem.inputs = {TensorView::dense(from, shape, other)};
      if (chain.inputs == 2) problem.inputs.push_back(TensorView::dense(type, shape, format));
      problem.outputs = {TensorView::dense(type, shape, format)};
      time(("chain from " + std::string(name_of(from)) + " " + std::string(name_of(other))).c_str(),
           problem);
    }
  }
}

int run(const std::string& part) {
  const auto backend = runtime::find_backend("cuda");
  const auto device = backend->make_device({});
  device->make_current();
  const KernelRegistry kernels = backend->kernels();
  for (const Case& c : kCases) {
    if (std::string(c.name).find(part) == std::string::npos) continue;
    for (const Format format : kImageFormats) time_conv(c, format, kernels, *device);
  }
  if (!part.empty() && part != "norms") return 0;
  for (const Format format : kImageFormats) {
    time_others(format, kernels, *device);
    time_pools(format, kernels, *device);
    time_reductions(format, kernels, *device);
  }
  return 0;
}

}  // namespace
}  // namespace cleave::backend

int main(int argc, char** argv) {
  try {
    return cleave::backend::run(argc > 1 ? argv[1] : "");
  } catch (const cleave::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
