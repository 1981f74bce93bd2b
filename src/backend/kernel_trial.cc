#include "backend/kernel_trial.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "base/half.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "program/validate.h"

namespace cleave::backend {
namespace {

constexpr int64_t kMostCopies = 32;
constexpr size_t kMostRecorded = 16;
constexpr double kRecordedUs = 1000;
// Activations of a usual network; operands of a call are seldom where the call before had its own.
constexpr int64_t kArenaBytes = int64_t{12} << 20;
constexpr double kLongCallUs = 200;  // shorter ones are seldom interrupted

double thread_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// From the first to the last element that the view reaches.
int64_t bytes_of(const TensorView& view) {
  if (view.elements() == 0) return 0;
  return program::reach_of(view.shape, view.strides, 0).end *
         static_cast<int64_t>(size_of(view.dtype));
}

bool is_table(size_t input, int64_t index_extent) { return input == 0 && index_extent > 1; }

// Numbers of usual size: zeros and denormal numbers take other times.
void fill(DType type, std::span<std::byte> bytes, int64_t index_extent, uint32_t seed) {
  const auto each = [&]<class T>(const auto& value_of) {
    auto* data = reinterpret_cast<T*>(bytes.data());
    uint32_t state = 12345 + seed;
    for (size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
      state = state * 1664525u + 1013904223u;
      data[i] = static_cast<T>(value_of(state >> 8));
    }
  };
  const auto real = [](uint32_t bits) { return static_cast<float>(bits) / (1 << 23) - 1; };
  const auto index = [&](uint32_t bits) { return int64_t{bits} % index_extent; };
  if (type == DType::kFloat32) each.template operator()<float>(real);
  if (type == DType::kFloat64) each.template operator()<double>(real);
  if (type == DType::kFloat16) each.template operator()<Half>(real);
  if (type == DType::kBFloat16) each.template operator()<BFloat16>(real);
  // A mask that hides little.
  if (type == DType::kBool)
    each.template operator()<uint8_t>([](uint32_t bits) { return bits % 8 != 0; });
  if (type == DType::kInt32) each.template operator()<int32_t>(index);
  if (type == DType::kInt64) each.template operator()<int64_t>(index);
}

// The same in a device's memory.
void fill(Device& device, DType type, Buffer& buffer, int64_t index_extent, uint32_t seed) {
  if (device.memory_is_host()) {
    return fill(type, {buffer.data(), static_cast<size_t>(buffer.bytes())}, index_extent, seed);
  }
  // Large buffers repeat their beginning: no kernel takes note.
  constexpr int64_t kFilled = int64_t{1} << 20;
  std::vector<std::byte> host(static_cast<size_t>(std::min(buffer.bytes(), kFilled)));
  fill(type, host, index_extent, seed);
  const StreamHandle stream = device.default_stream();
  auto done = static_cast<int64_t>(host.size());
  device.copy_to_device(buffer.data(), host.data(), done, stream);
  for (; done < buffer.bytes(); done *= 2) {
    const int64_t more = std::min(done, buffer.bytes() - done);
    device.copy(buffer.data() + done, buffer.data(), more, stream);
  }
  device.synchronize(stream);
}

}  // namespace

KernelTrial::KernelTrial(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache,
                         int64_t index_extent)
    : device_(cache.device()) {
  int64_t constants = 0;
  int64_t others = 1;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const int64_t bytes = bytes_of(problem.inputs[i]);
    if (problem.key(i) != 0) {
      constants += bytes;
    } else if (!is_table(i, index_extent)) {
      others += bytes;
    }
  }
  for (const TensorView& view : problem.outputs) others += bytes_of(view);
  const int64_t turns = turns_for(others, kArenaBytes);
  for (int64_t turn = 0; turn < turns; ++turn) add_turn(problem, index_extent);

  KernelProblem own = problem;
  own.load_constant = {};
  own.constant_inputs.assign(problem.inputs.size(), nullptr);
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.key(i) != 0) own.constant_inputs[i] = turns_[0].inputs[i];
  }
  const int64_t copies =
      constants == 0 ? 1 : std::clamp<int64_t>(device_.cold_bytes() / constants, 1, kMostCopies);
  int64_t workspace = 0;
  for (int64_t copy = 0; copy < copies; ++copy) {
    add_copy(kernel, own, cache);
    workspace = std::max(workspace, copies_.back().prepared->workspace_bytes());
  }
  workspace_ = device_.allocate(workspace, "a workspace");
}

std::byte* KernelTrial::operand(const TensorView& view, const char* what) {
  const int64_t bytes = bytes_of(view);
  if (bytes == 0) return nullptr;
  buffers_.push_back(device_.allocate(bytes, what));
  return buffers_.back().data();
}

void KernelTrial::add_turn(const KernelProblem& problem, int64_t index_extent) {
  Turn turn;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (!turns_.empty() && (problem.key(i) != 0 || is_table(i, index_extent))) {
      turn.inputs.push_back(turns_[0].inputs[i]);
      continue;
    }
    turn.inputs.push_back(operand(problem.inputs[i], "an operand"));
    if (turn.inputs.back() == nullptr) continue;
    if (problem.key(i) == 0 && !is_table(i, index_extent)) {
      turn.written.emplace_back(buffers_.back().data(),
                                static_cast<size_t>(buffers_.back().bytes()));
    }
    fill(device_, problem.inputs[i].dtype, buffers_.back(), index_extent,
         static_cast<uint32_t>(turns_.size()));
  }
  for (const TensorView& view : problem.outputs) turn.outputs.push_back(operand(view, "a result"));
  turns_.push_back(std::move(turn));
}

void KernelTrial::add_copy(const Kernel& kernel, KernelProblem problem, KernelCache& cache) {
  for (uint64_t& key : problem.constant_keys) {
    if (key != 0) key = std::max<uint64_t>(1, hash_combine(key, copies_.size()));
  }
  Copy copy;
  copy.prepared = kernel.prepare(problem, cache);
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const void* data = problem.constant_inputs[i];
    if (data == nullptr) continue;
    if (!copy.prepared->reads_input(i)) {
      data = nullptr;
    } else if (!copies_.empty()) {
      // A kernel that does not repack a constant reads a copy of its own.
      std::byte* own = operand(problem.inputs[i], "a weight");
      device_.copy(own, data, buffers_.back().bytes(), device_.default_stream());
      device_.synchronize(device_.default_stream());
      data = own;
    }
    copy.constants.emplace_back(i, data);
  }
  copies_.push_back(std::move(copy));
}

void KernelTrial::write_inputs() {
  constexpr size_t kStretch = 1024;
  constexpr size_t kLine = 64;
  if (!device_.memory_is_host()) return;
  const auto threads = static_cast<size_t>(device_.threads());
  device_.pool().parallel_for(static_cast<int64_t>(threads), [&](int64_t thread) {
    for (const std::span<std::byte> bytes : turns_[calls_ % turns_.size()].written) {
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
  Turn& turn = turns_[calls_ % turns_.size()];
  const Copy& copy = copies_[calls_++ % copies_.size()];
  for (const auto& [input, data] : copy.constants) turn.inputs[input] = data;
  copy.prepared->run(turn.inputs, turn.outputs,
                     {workspace_.data(), device_.pool(), device_.default_stream()});
}

double KernelTrial::replay_us() {
  const StreamHandle stream = device_.default_stream();
  if (!recording_) {
    clock_ = device_.make_clock(stream);
    clock_->mark();
    call();
    clock_->mark();
    const double one = std::chrono::duration<double, std::micro>(clock_->read().at(1)).count();
    // Short calls fill some time, and each operand has its turn.
    const size_t turns = std::max<size_t>({kMostRecorded, turns_.size(), copies_.size()});
    recorded_ = std::clamp<size_t>(static_cast<size_t>(kRecordedUs / std::max(one, 1.0)), 2, turns);
    recording_ = device_.record(stream, [&] {
      for (size_t i = 0; i < recorded_; ++i) call();
    });
  }
  // What is between the marks was put on the stream before the device came that far.
  recording_->replay(stream);
  clock_->mark();
  recording_->replay(stream);
  clock_->mark();
  const auto marks = clock_->read();
  return std::chrono::duration<double, std::micro>(marks[1]).count() /
         static_cast<double>(recorded_);
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
