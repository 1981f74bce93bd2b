#include "backend/kernel_trial.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "base/check.h"
#include "base/hash.h"
#include "base/thread_pool.h"

namespace cleave::backend {
namespace {

constexpr size_t kMostRecorded = 16;
constexpr double kRecordedUs = 1000;
constexpr double kLongCallUs = 200;  // shorter ones are seldom interrupted

double thread_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

}  // namespace

KernelTrial::KernelTrial(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache,
                         int64_t index_extent)
    : KernelTrial(kernel, problem, cache,
                  std::make_shared<TrialOperands>(problem, cache.device(), index_extent)) {}

KernelTrial::KernelTrial(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache,
                         std::shared_ptr<TrialOperands> operands)
    : device_(cache.device()), operands_(std::move(operands)) {
  KernelProblem own = problem;
  own.load_constant = {};
  own.constant_inputs.assign(problem.inputs.size(), nullptr);
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.key(i) != 0) own.constant_inputs[i] = operands_->constant(i, 0);
  }
  int64_t workspace = 0;
  for (size_t copy = 0; copy < operands_->copies(); ++copy) {
    add_copy(kernel, own, cache);
    workspace = std::max(workspace, copies_.back().prepared->workspace_bytes());
  }
  workspace_ = device_.allocate(workspace, "a workspace");
}

// Whether the first copy's kernel reads all constants from where a call says they are.
bool KernelTrial::reads_constants(const KernelProblem& problem) const {
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.key(i) != 0 && !copies_.front().prepared->reads_input(i)) return false;
  }
  return true;
}

void KernelTrial::add_copy(const Kernel& kernel, KernelProblem problem, KernelCache& cache) {
  for (uint64_t& key : problem.constant_keys) {
    if (key != 0) key = std::max<uint64_t>(1, hash_combine(key, copies_.size()));
  }
  Copy copy;
  copy.prepared = !copies_.empty() && reads_constants(problem) ? copies_.front().prepared
                                                               : kernel.prepare(problem, cache);
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.constant_inputs[i] == nullptr) continue;
    // A kernel that does not repack a constant reads a copy of its own.
    const bool read = copy.prepared->reads_input(i);
    copy.constants.emplace_back(i, read ? operands_->constant(i, copies_.size()) : nullptr);
  }
  copies_.push_back(std::move(copy));
}

void KernelTrial::write_inputs() {
  constexpr size_t kStretch = 1024;
  constexpr size_t kLine = 64;
  if (!device_.memory_is_host()) return;
  const auto threads = static_cast<size_t>(device_.threads());
  device_.pool().parallel_for(static_cast<int64_t>(threads), [&](int64_t thread) {
    for (const std::span<std::byte> bytes : operands_->next().written) {
      for (size_t i = static_cast<size_t>(thread) * kStretch; i < bytes.size();
           i += threads * kStretch) {
        for (size_t j = i; j < std::min(i + kStretch, bytes.size()); j += kLine) {
          volatile std::byte& byte = bytes[j];
          byte = byte;
        }
      }
    }
  });
}

void KernelTrial::call() {
  TrialOperands::Turn& turn = operands_->next();
  const Copy& copy = copies_[operands_->next_copy()];
  operands_->advance();
  for (const auto& [input, data] : copy.constants) turn.inputs[input] = data;
  copy.prepared->run(turn.inputs, turn.outputs,
                     {workspace_.data(), device_.pool(), device_.default_stream()});
}

double KernelTrial::replay_us(Recording& recording) {
  const StreamHandle stream = device_.default_stream();
  // What is between the marks was put on the stream before the device came that far.
  recording.replay(stream);
  clock_->mark();
  recording.replay(stream);
  clock_->mark();
  const auto marks = clock_->read();
  return std::chrono::duration<double, std::micro>(marks[1]).count() /
         static_cast<double>(recorded_);
}

double KernelTrial::replay_us() {
  const StreamHandle stream = device_.default_stream();
  if (recorded_ == 0) {
    clock_ = device_.make_clock(stream);
    clock_->mark();
    call();
    clock_->mark();
    const double one = std::chrono::duration<double, std::micro>(clock_->read().at(1)).count();
    // Short calls fill some time, and each operand has its turn.
    const size_t turns = std::max<size_t>({kMostRecorded, operands_->turns(), copies_.size()});
    recorded_ = std::clamp<size_t>(static_cast<size_t>(kRecordedUs / std::max(one, 1.0)), 2, turns);
  }
  if (!recording_) {
    recording_ = device_.record(stream, [&] {
      for (size_t i = 0; i < recorded_; ++i) {
        if (work_between_) work_between_();
        call();
      }
    });
  }
  return std::max(replay_us(*recording_) - between_us_, 0.0);
}

void KernelTrial::run_between(std::function<void()> work) {
  CLEAVE_CHECK(recorded_ > 0, "a trial has been timed before other work comes between");
  const StreamHandle stream = device_.default_stream();
  const auto alone = device_.record(stream, [&] {
    for (size_t i = 0; i < recorded_; ++i) work();
  });
  constexpr int kReplays = 3;
  between_us_ = replay_us(*alone);
  for (int i = 1; i < kReplays; ++i) between_us_ = std::min(between_us_, replay_us(*alone));
  work_between_ = std::move(work);
  recording_.reset();
}

double KernelTrial::call_us() {
  if (device_.records()) return replay_us();
  using Clock = std::chrono::steady_clock;
  between_.run();
  write_inputs();
  const bool alone = device_.threads() == 1;
  const double before = alone ? thread_us() : 0;
  const auto start = Clock::now();
  call();
  const double us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  return alone && us > kLongCallUs ? std::min(us, thread_us() - before) : us;
}

}  // namespace cleave::backend
