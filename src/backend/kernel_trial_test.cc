// What a trial makes ready, and what it reads.
#include "backend/kernel_trial.h"

#include <gtest/gtest.h>

#include <set>

#include "backend/cpu/cpu_device.h"

namespace cleave::backend {
namespace {

// Notes what calls read as their weight.
struct Log {
  int prepared = 0;
  std::set<const void*> weights;
};

class LoggingKernel final : public Kernel {
 public:
  LoggingKernel(Log& log, bool packs) : log_(log), packs_(packs) {}
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.logging"; }
  std::optional<std::string> refuses(const KernelProblem&) const override { return std::nullopt; }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem&, KernelCache&) const override {
    ++log_.prepared;
    return std::make_unique<Prepared>(log_, packs_);
  }

 private:
  class Prepared final : public PreparedKernel {
   public:
    Prepared(Log& log, bool packs) : log_(log), packs_(packs) {}
    void run(std::span<const void* const> inputs, std::span<void* const>,
             const Launch&) const override {
      log_.weights.insert(inputs[1]);
    }
    bool reads_input(size_t input) const override { return input != 1 || !packs_; }

   private:
    Log& log_;
    bool packs_;
  };
  Log& log_;
  bool packs_;
};

Log logged(bool packs) {
  const auto device = make_cpu_device({});
  KernelCache cache(*device);
  const Attributes none;
  // A weight so small that it takes many of them to leave the caches.
  KernelProblem problem{.op = "matmul", .attributes = none};
  problem.inputs = {TensorView::dense(DType::kFloat32, {4, 64}),
                    TensorView::dense(DType::kFloat32, {64, 64})};
  problem.outputs = {TensorView::dense(DType::kFloat32, {4, 64})};
  problem.constant_keys = {0, 1};
  Log log;
  const LoggingKernel kernel(log, packs);
  KernelTrial trial(kernel, problem, cache);
  for (int call = 0; call < 100; ++call) trial.call();
  return log;
}

TEST(KernelTrial, ReadsManyCopiesOfAWeightByOnePreparedKernel) {
  const Log log = logged(/*packs=*/false);
  EXPECT_EQ(log.prepared, 1);
  EXPECT_GT(log.weights.size(), 1U);
  EXPECT_FALSE(log.weights.contains(nullptr));
}

TEST(KernelTrial, PreparesForEachCopyWhereItIsPacked) {
  const Log log = logged(/*packs=*/true);
  EXPECT_GT(log.prepared, 1);
  EXPECT_EQ(log.weights, std::set<const void*>{nullptr});
}

}  // namespace
}  // namespace cleave::backend
