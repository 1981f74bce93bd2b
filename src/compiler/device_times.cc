#include "compiler/device_times.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "backend/timing_table.h"
#include "base/hash.h"
#include "base/log.h"
#include "runtime/timing_cache_impl.h"
#include "runtime/tune.h"

namespace cleave::compiler {
namespace {

using backend::KernelProblem;
using backend::TensorView;

TensorView view_of(const TensorType& type, Format format) {
  TensorView view = TensorView::dense(type.dtype, evaluate(type.shape, {}));
  view.strides = dense_strides(format, view.shape);
  return view;
}

class DeviceTimes final : public cost::ExactTimes {
 public:
  DeviceTimes(std::shared_ptr<const backend::Backend> backend, int index,
              std::shared_ptr<TimingCache> timings, LogSink log)
      : backend_(std::move(backend)),
        kernels_(backend_->kernels()),
        device_(backend_->make_device({.index = index})),
        timings_(std::move(timings)),
        table_(timings_->impl()->table),
        log_(std::move(log)) {}
  DeviceTimes(const DeviceTimes&) = delete;
  DeviceTimes& operator=(const DeviceTimes&) = delete;
  ~DeviceTimes() override {
    auto impl = std::make_shared<TimingCacheImpl>();
    impl->table = std::move(table_);
    *timings_ = TimingCache(std::move(impl));
  }

  std::optional<double> kernel_us(const cost::KernelSpec& spec) override {
    const KernelProblem problem = problem_of(spec);
    const backend::TimingKey key(backend::DeviceKind(*device_), problem);
    if (const backend::KernelTimes* known = table_.find(key)) return known->front().us;
    if (!has_timed_) log(log_, LogLevel::kInfo, "timing what planning has to choose from");
    has_timed_ = true;
    device_->make_current();
    backend::KernelTimes times = runtime::time_problem(problem, kernels_, *device_, log_);
    if (times.empty()) return std::nullopt;
    table_.set(key, std::move(times));
    return table_.find(key)->front().us;
  }

 private:
  KernelProblem problem_of(const cost::KernelSpec& spec) const {
    KernelProblem problem{.op = spec.op, .attributes = spec.attributes};
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      const bool is_weight = spec.weight && i == 1;
      problem.inputs.push_back(
          view_of(spec.inputs[i], is_weight ? Format::kRowMajor : spec.format));
      problem.constant_keys.push_back(
          is_weight ? std::max<uint64_t>(1, hash_bytes(problem.inputs[i].text())) : 0);
    }
    for (const TensorType& type : spec.outputs) {
      problem.outputs.push_back(view_of(type, spec.format));
    }
    problem.threads = device_->threads();
    return problem;
  }

  std::shared_ptr<const backend::Backend> backend_;
  backend::KernelRegistry kernels_;
  std::unique_ptr<backend::Device> device_;
  std::shared_ptr<TimingCache> timings_;
  backend::TimingTable table_;
  LogSink log_;
  bool has_timed_ = false;
};

}  // namespace

std::shared_ptr<cost::ExactTimes> make_device_times(std::shared_ptr<const backend::Backend> backend,
                                                    int index, std::shared_ptr<TimingCache> timings,
                                                    LogSink log) {
  return std::make_shared<DeviceTimes>(std::move(backend), index, std::move(timings),
                                       std::move(log));
}

}  // namespace cleave::compiler
