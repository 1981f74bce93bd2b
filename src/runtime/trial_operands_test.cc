// Operands of timed calls, on devices whose memory is the host's and on others.
#include "backend/trial_operands.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "tests/support/distant_backend.h"

namespace cleave::backend {
namespace {

using Range = std::pair<const std::byte*, const std::byte*>;

bool overlap(const Range& a, const Range& b) { return a.first < b.second && b.first < a.second; }

// One place each, none in another's, filled with numbers of usual size.
void check_places(Device& device) {
  const Attributes none;
  KernelProblem problem{.op = "matmul", .attributes = none};
  problem.inputs = {TensorView::dense(DType::kFloat32, {5, 63}),
                    TensorView::dense(DType::kFloat32, {63, 7})};
  problem.outputs = {TensorView::dense(DType::kFloat32, {5, 7})};
  problem.constant_keys = {0, 77};
  TrialOperands operands(problem, device);
  EXPECT_GT(operands.turns(), 1u);
  EXPECT_GT(operands.copies(), 1u);

  std::vector<Range> places;
  const auto add = [&](const void* data, int64_t elements) {
    const auto* begin = static_cast<const std::byte*>(data);
    places.emplace_back(begin, begin + 4 * elements);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
  };
  std::set<const void*> weights;
  for (size_t call = 0; call < operands.turns(); ++call) {
    TrialOperands::Turn& turn = operands.next();
    ASSERT_EQ(turn.written.size(), 1u);
    EXPECT_EQ(turn.written[0].data(), turn.inputs[0]);
    EXPECT_EQ(turn.written[0].size(), size_t{4 * 5 * 63});
    add(turn.inputs[0], 5 * 63);
    add(turn.outputs[0], 5 * 7);
    weights.insert(turn.inputs[1]);
    operands.advance();
  }
  EXPECT_EQ(weights.size(), 1u);
  for (size_t copy = 0; copy < operands.copies(); ++copy) add(operands.constant(1, copy), 63 * 7);
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i) EXPECT_FALSE(overlap(places[i - 1], places[i])) << i;

  const auto* last = static_cast<const float*>(operands.constant(1, operands.copies() - 1));
  for (int i = 0; i < 63 * 7; ++i) {
    EXPECT_TRUE(std::abs(last[i]) <= 1 && last[i] != 0) << i;
  }
}

// No better aligned than they are where the kernel is to run.
void check_alignment(Device& device) {
  const Attributes none;
  KernelProblem problem{.op = "matmul", .attributes = none};
  for (const int64_t alignment : {4, 16, 8}) {
    TensorView view = TensorView::dense(DType::kFloat32, {5, 5});
    view.alignment = alignment;
    (problem.inputs.size() < 2 ? problem.inputs : problem.outputs).push_back(std::move(view));
  }
  problem.constant_keys = {77, 0};
  TrialOperands operands(problem, device);
  const auto at = [](const void* data) { return reinterpret_cast<uintptr_t>(data) % 16; };
  for (size_t call = 0; call < operands.turns(); ++call) {
    EXPECT_EQ(at(operands.next().inputs[0]), 4u);
    EXPECT_EQ(at(operands.next().inputs[1]), 0u);
    EXPECT_EQ(at(operands.next().outputs[0]), 8u);
    operands.advance();
  }
  for (size_t copy = 0; copy < operands.copies(); ++copy) {
    EXPECT_EQ(at(operands.constant(0, copy)), 4u);
  }
}

TEST(TrialOperands, BeginAsTheirViewsSay) {
  check_alignment(*make_cpu_device({}));
  check_alignment(*testing::DistantBackend().make_device({}));
}

TEST(TrialOperands, LieApartInTheHostsMemory) { check_places(*make_cpu_device({})); }

TEST(TrialOperands, LieApartInADevicesMemory) {
  check_places(*testing::DistantBackend().make_device({}));
}

}  // namespace
}  // namespace cleave::backend
