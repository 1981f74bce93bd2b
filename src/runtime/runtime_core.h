// What the contexts of a runtime share: devices, threads, kernels, and whether the group works.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "backend/device.h"
#include "backend/kernel.h"
#include "backend/timing_table.h"
#include "cleave/runtime.h"
#include "cleave/tensor.h"
#include "program/program.h"
#include "runtime/rank_io.h"
#include "runtime/rank_threads.h"

namespace cleave::runtime {

class RuntimeCore {
 public:
  // The kernels are those of `backend`, or others in their place. Logs what slows the devices down.
  RuntimeCore(DeviceList devices, RuntimeOptions options,
              std::shared_ptr<const backend::Backend> backend, backend::KernelRegistry kernels);

  const DeviceList& devices() const { return list_; }
  const RuntimeOptions& options() const { return options_; }
  const backend::KernelRegistry& kernels() const { return kernels_; }
  int ranks() const { return static_cast<int>(devices_.size()); }
  backend::Device& device(int rank) { return *devices_[static_cast<size_t>(rank)]; }
  RankThreads& threads() { return threads_; }
  // A tensor that is not zeroed, in memory that the devices copy from and to in place where there
  // is such memory (Device::host_memory).
  Tensor host_tensor(DType dtype, std::vector<int64_t> shape);
  // Keeps results that copies may still be on their way to, after a failure, until `settled`: a run
  // that began later has come to its end.
  void keep(std::vector<Tensor> results);
  void settled();
  // Scratch space of the rank's kernels: one run executes at a time.
  std::byte* workspace(int rank, int64_t bytes);

  // The devices' kind, and what is known of their kernels' times.
  const backend::DeviceKind& kind() const { return kind_; }
  std::shared_ptr<const TimingCacheImpl> timings() const;
  // Times the kernels of the program at these sizes where there is a choice that was not timed yet:
  // rank 0 does, for all ranks.
  void tune(const program::EngineData& data, const program::Program& program,
            const SymbolValues& symbols);

  // Runs `body` on all ranks; throws the error of the lowest rank that failed, naming it.
  void run_on_all(const std::function<void(int)>& body);

  // Error(kDevice) where the group has failed.
  void require_working() const;
  void set_failed(const Error& error);
  void clear_failed();

  // The ends of a new group of all ranks. Groups are told of recoveries as long as they live.
  std::shared_ptr<std::vector<std::unique_ptr<Communicator>>> make_group();
  void recover();

 private:
  using Group = std::vector<std::unique_ptr<Communicator>>;

  std::unique_ptr<backend::Device> make_device(size_t rank, int64_t memory_limit) const;
  std::vector<std::unique_ptr<backend::Device>> make_devices() const;
  std::vector<backend::Device*> device_pointers() const;

  DeviceList list_;
  RuntimeOptions options_;
  std::shared_ptr<const backend::Backend> backend_;
  backend::KernelRegistry kernels_;
  std::vector<std::unique_ptr<backend::Device>> devices_;
  std::vector<GrowingBuffer> workspaces_;

  backend::DeviceKind kind_;
  std::mutex tuning_;  // one at a time adds to the timings

  mutable std::mutex mutex_;
  std::shared_ptr<const TimingCacheImpl> timings_;
  std::optional<Error> failed_;
  std::vector<std::weak_ptr<Group>> groups_;
  std::vector<Tensor> kept_;

  RankThreads threads_;  // last: they end before what they use goes
};

// The error that `thrown` is, with the rank's device as a place; anything that is not a
// cleave::Error becomes one.
Error error_of(const std::exception_ptr& thrown, const backend::Device& device);

}  // namespace cleave::runtime
