#include "backend/kernel.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cleave/error.h"
#include "program/validate.h"

namespace cleave::backend {

TensorView TensorView::dense(DType dtype, std::vector<int64_t> shape, Format format) {
  TensorView view{.dtype = dtype, .shape = std::move(shape)};
  view.strides.resize(view.shape.size());
  const std::vector<size_t> order = memory_order(format, view.shape.size());
  int64_t stride = 1;
  for (size_t i = order.size(); i-- > 0;) {
    view.strides[order[i]] = stride;
    stride = checked_mul(stride, view.shape[order[i]]);
  }
  return view;
}

TensorView TensorView::absent() { return {.present = false}; }

bool TensorView::has_format(Format format) const {
  return cleave::has_format(format, shape, strides);
}

int64_t TensorView::elements() const {
  if (!present) return 0;
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

int64_t TensorView::reach_bytes() const {
  if (elements() == 0) return 0;
  return program::reach_of(shape, strides, 0).end * static_cast<int64_t>(size_of(dtype));
}

std::string TensorView::text() const {
  if (!present) return "none";
  const auto list = [](const std::vector<int64_t>& values) {
    std::string out = "[";
    for (size_t i = 0; i < values.size(); ++i) {
      out += (i == 0 ? "" : ", ") + std::to_string(values[i]);
    }
    return out + "]";
  };
  std::string out = std::string(name_of(dtype)) + list(shape);
  if (!is_dense()) out += " strides " + list(strides);
  if (alignment != kMostAlignment) out += " aligned to " + std::to_string(alignment);
  return out;
}

std::shared_ptr<const Buffer> KernelCache::packed(uint64_t key, int64_t bytes,
                                                  std::string_view what,
                                                  const std::function<void(std::byte*)>& pack) {
  const std::lock_guard lock(mutex_);
  auto& entry = packed_[key];
  if (entry == nullptr || entry->bytes() != bytes) {
    auto buffer = std::make_shared<Buffer>(device_.allocate(bytes, what));
    if (bytes > 0) pack(buffer->data());
    entry = std::move(buffer);
  }
  return entry;
}

int64_t KernelCache::packed_bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [key, buffer] : packed_) bytes += buffer->bytes();
  return bytes;
}

void KernelCache::drop_unused() {
  const std::lock_guard lock(mutex_);
  std::erase_if(packed_, [](const auto& entry) {
    return entry.second == nullptr || entry.second.use_count() == 1;
  });
}

void KernelRegistry::add(std::shared_ptr<const Kernel> kernel) {
  auto& list = kernels_[std::string(kernel->op())];
  list.push_back(std::move(kernel));
}

void KernelRegistry::add_front(std::shared_ptr<const Kernel> kernel) {
  auto& list = kernels_[std::string(kernel->op())];
  list.insert(list.begin(), std::move(kernel));
}

std::span<const std::shared_ptr<const Kernel>> KernelRegistry::of(std::string_view op) const {
  const auto found = kernels_.find(op);
  if (found == kernels_.end()) return {};
  return found->second;
}

std::vector<const Kernel*> KernelRegistry::takers(const KernelProblem& problem) const {
  std::vector<const Kernel*> result;
  for (const auto& kernel : of(problem.op)) {
    if (!kernel->refuses(problem)) result.push_back(kernel.get());
  }
  return result;
}

KernelRegistry::Choice KernelRegistry::choose(const KernelProblem& problem,
                                              const KernelTimes* times) const {
  Choice choice;
  const std::string timed = times == nullptr || times->empty() ? "" : times->front().kernel;
  if (!timed.empty()) {
    std::string reason = "the timing cache names it, but it is not there";
    for (const auto& kernel : of(problem.op)) {
      if (kernel->name() != timed) continue;
      const auto refusal = kernel->refuses(problem);
      if (!refusal) {
        choice.kernel = kernel.get();
        choice.algorithm = times->front().algorithm;
        choice.times = *times;
        return choice;
      }
      reason = "the timing cache names it, but " + *refusal;
    }
    choice.refusals.push_back({timed, std::move(reason)});
  }
  for (const auto& kernel : of(problem.op)) {
    if (!kernel->is_chosen_by_rule()) continue;
    auto reason = kernel->refuses(problem);
    if (!reason) {
      choice.kernel = kernel.get();
      break;
    }
    if (kernel->name() == timed) continue;  // said already
    choice.refusals.push_back({std::string(kernel->name()), std::move(*reason)});
  }
  return choice;
}

std::string KernelTime::text() const {
  return algorithm.empty() ? kernel : kernel + " algorithm " + algorithm;
}

std::string KernelRegistry::Choice::text() const {
  constexpr size_t kMostShown = 4;
  std::string notes;
  for (size_t i = 0; i < std::min(times.size(), kMostShown); ++i) {
    char us[40];
    std::snprintf(us, sizeof us, "%.4g us", times[i].us);
    notes += notes.empty() ? "tuned: " : "; " + times[i].text() + " ";
    notes += us;
  }
  if (times.size() > kMostShown) {
    notes += "; " + std::to_string(times.size() - kMostShown) + " more are slower";
  }
  for (const Refusal& refusal : refusals) {
    notes += (notes.empty() ? "" : "; ") + refusal.kernel + ": " + refusal.reason;
  }
  const std::string name =
      kernel == nullptr ? "none" : KernelTime{std::string(kernel->name()), 0, algorithm}.text();
  return notes.empty() ? name : name + " (" + notes + ")";
}

const Kernel& KernelRegistry::at(const KernelProblem& problem) const {
  Choice choice = choose(problem);
  if (choice.kernel != nullptr) return *choice.kernel;
  std::string message = "no kernel for " + std::string(problem.op) + " of (";
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    message += (i == 0 ? "" : ", ") + problem.inputs[i].text();
  }
  message += ")";
  for (const Refusal& refusal : choice.refusals) {
    message += "; " + refusal.kernel + ": " + refusal.reason;
  }
  throw Error(ErrorCode::kUnsupported, message, "another element type may be supported");
}

}  // namespace cleave::backend
