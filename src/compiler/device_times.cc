#include "compiler/device_times.h"

#include <optional>
#include <utility>
#include <vector>

#include "backend/timing_table.h"
#include "base/log.h"
#include "compiler/device_profiler.h"
#include "runtime/timing_cache_impl.h"

namespace cleave::compiler {
namespace {

constexpr double kSeconds = 0.02;  // a kernel
// What begins the name of an op in entries of this kind.
constexpr const char* kPlanned = "planned ";

std::string text_of(const TensorType& type, Format format) {
  auto view = backend::TensorView::dense(type.dtype, evaluate(type.shape, {}));
  view.strides = dense_strides(format, view.shape);
  return view.text();
}

class DeviceTimes final : public cost::ExactTimes {
 public:
  DeviceTimes(std::shared_ptr<const backend::Backend> backend, int index,
              std::shared_ptr<TimingCache> timings, LogSink log)
      : backend_(std::move(backend)),
        index_(index),
        kind_(*backend_->make_device({.index = index})),
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
    const backend::TimingKey key = key_of(spec);
    if (const backend::KernelTimes* known = table_.find(key)) return known->front().us;
    if (profiler_ == nullptr) {
      log(log_, LogLevel::kInfo, "timing what planning has to choose from");
      profiler_ = make_device_profiler(backend_, std::vector<int>{index_});
    }
    const auto us = profiler_->kernel_us(spec, kSeconds);
    if (us) table_.set(key, {{"as it is used untuned", *us}});
    return us;
  }

 private:
  backend::TimingKey key_of(const cost::KernelSpec& spec) const {
    backend::TimingKey key;
    key.backend = kind_.backend;
    key.device = kind_.name;
    key.threads = kind_.threads;
    key.op = kPlanned + std::string(spec.op);
    key.attributes = spec.attributes.text();
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      const bool weight = spec.weight && i == 1;
      key.inputs.push_back(text_of(spec.inputs[i], i == 1 ? Format::kRowMajor : spec.format) +
                           (weight ? " constant" : ""));
    }
    for (const TensorType& type : spec.outputs) key.outputs.push_back(text_of(type, spec.format));
    return key;
  }

  std::shared_ptr<const backend::Backend> backend_;
  int index_;
  backend::DeviceKind kind_;
  std::shared_ptr<TimingCache> timings_;
  backend::TimingTable table_;
  LogSink log_;
  std::unique_ptr<cost::Profiler> profiler_;  // made when something has to be timed
};

}  // namespace

std::shared_ptr<cost::ExactTimes> make_device_times(std::shared_ptr<const backend::Backend> backend,
                                                    int index, std::shared_ptr<TimingCache> timings,
                                                    LogSink log) {
  return std::make_shared<DeviceTimes>(std::move(backend), index, std::move(timings),
                                       std::move(log));
}

}  // namespace cleave::compiler
