// Runtime: devices ready to run engines. ExecutionContext: one engine on them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cleave/device_list.h"
#include "cleave/engine.h"
#include "cleave/log.h"
#include "cleave/tensor.h"
#include "cleave/timeline.h"
#include "cleave/timing_cache.h"

namespace cleave {

struct RuntimeOptions {
  LogSink log;                 // at debug: which kernel each instruction uses and why
  int threads_per_device = 0;  // CPU devices; 0: they share out the cores evenly
  int64_t memory_limit = 0;    // bytes a device may use; 0: what the machine has
  bool pin_threads = false;    // CPU devices: ranks' threads stay on one core each
  // Kernels are chosen by it, and by rule where it says nothing. The same engine, inputs, kind of
  // machine and timing cache give the same bits.
  TimingCache timing_cache;
  // Where several kernels, or algorithms of one, take an instruction and the cache does not know
  // which is fastest, all are timed when it is prepared (at the sizes that are run, for a bounded
  // time each); see Runtime::timing_cache.
  bool tune = false;
  // Weights are loaded for each instruction of a run and dropped behind it: every run reads them
  // anew, and a device need hold no more of them at once than one instruction reads.
  bool stream_weights = false;
  // How long a rank waits for the others in a collective before the group fails; 0: for ever.
  std::chrono::milliseconds lateness_limit = std::chrono::minutes(10);
};

// What a device's memory holds, in bytes.
struct DeviceMemory {
  int64_t used = 0;
  int64_t peak = 0;
  int64_t limit = 0;  // 0: none
};

// What loading a device's weights took: from when they were asked for to when they were there.
struct WeightLoad {
  int64_t bytes = 0;
  int64_t noise_bytes = 0;  // of these, what was made on the device and not read
  double seconds = 0;
};

// A tensor of the model as an instruction left it on the ranks.
struct ObservedTensor {
  std::string name;            // the model's
  std::vector<int64_t> shape;  // of the whole
  // How the parts make the whole: "replicate" (each is the whole), "shard(DIMENSION, CUT)" as
  // `cleave inspect` shows it, with numbers, or "partial(sum)" (each is a term of the sum).
  std::string layout;
  std::vector<Tensor> parts;  // by rank
};

struct ObservedInstruction {
  uint32_t number = 0;  // in the program
  std::string op;
  std::string name;                     // of the model's nodes that it carries out
  std::vector<ObservedTensor> tensors;  // none where the engine does not say what they are
};

// Called after each instruction, in program order, once all ranks have carried it out. Ranks wait
// until it returns. What it throws fails the run as a failing rank does.
using Observer = std::function<void(const ObservedInstruction&)>;

struct RunOptions {
  // Filled with the times of each instruction. Ranks then meet before each collective, so that
  // waiting and communication can be told apart; the run is slower for it.
  Timeline* timeline = nullptr;
  // Becomes the microseconds that the slowest device took from when all had their inputs to when
  // its results were there: without what copies between host and device take. 0 where weights are
  // streamed.
  double* device_us = nullptr;
  // Sees what each instruction makes; the run is much slower for it. May be empty.
  Observer observer = {};
};

class ExecutionContext;

// Runs engines on its devices, one host thread a rank. Runs of all contexts execute one after
// another, in one order on all ranks. A value that moves; contexts keep what they need alive.
//
// Threads: all functions may be called by several threads at once.
class Runtime {
 public:
  // Error(kDevice) where a device cannot be had.
  explicit Runtime(DeviceList devices, RuntimeOptions options = {});
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;
  ~Runtime();

  const DeviceList& devices() const;
  // Allocates the activations' memory. Error(kInvalid) for an engine of another backend or number
  // of devices, Error(kOutOfMemory) naming what did not fit.
  ExecutionContext create_context(const Engine& engine);
  // A tensor for inputs, not zeroed, in host memory from which the devices copy by themselves: such
  // inputs arrive sooner. Results of runs are in such memory too. An ordinary one where there is no
  // such memory (CPU devices need none) or no more of it.
  Tensor host_tensor(DType dtype, std::vector<int64_t> shape) const;
  // By rank.
  std::vector<DeviceMemory> memory() const;
  void reset_peak_memory();
  // What the runtime was given, and what it has tuned since.
  TimingCache timing_cache() const;

  // After a rank has failed every run fails with an Error(kDevice) that says so, until this is
  // called. Waits for runs under way.
  void recover();

  struct Impl;
  explicit Runtime(std::shared_ptr<Impl> impl);

 private:
  std::shared_ptr<Impl> impl_;
};

// Tunes the engine's kernels on `devices` at the opt sizes of its profiles, without loading its
// weights. Returns `options.timing_cache` with what was found. Errors as Runtime's.
TimingCache tune(const Engine& engine, const DeviceList& devices,
                 const RuntimeOptions& options = {});

// Device code of an engine's kernels.
struct CompiledKernels {
  int64_t compiled = 0;  // pieces of it
  int64_t found = 0;     // that were there already
  std::string folder;
};

// Compiles the device code that an engine for GPUs needs at the opt sizes of its profiles, ahead of
// its first run, for GPUs of an architecture ("sm_90") that this machine need not have. It is kept
// where runs look for it: in $CLEAVE_CACHE_DIR, else in the user's cache folder. What libraries do
// needs none. Errors as below, and kInvalid where nothing can be kept.
CompiledKernels compile_kernels(const Engine& engine, std::string_view architecture);
// Ahead of a build that takes its time. Error(kUsage) for an architecture that there is not and for
// other devices, Error(kDevice) where this is no build for GPUs.
void require_architecture(const DeviceList& devices, std::string_view architecture);

// One in-flight use of an engine. Kernels are chosen and weights loaded at the first run, and for
// each new combination of sizes; what was prepared is kept for the last few sizes.
//
// Threads: runs of one context that several threads start execute one after another.
class ExecutionContext {
 public:
  ExecutionContext(ExecutionContext&&) noexcept;
  ExecutionContext& operator=(ExecutionContext&&) noexcept;
  ~ExecutionContext();

  // One inference. Inputs are read in place and must not change meanwhile; all of the engine's
  // outputs are returned, or none. Errors: kInvalid for inputs that do not fit the engine, and a
  // damaged engine file; kOutOfMemory; kUnsupported where no kernel takes an instruction; kDevice
  // where a rank failed or the group failed before. They name the rank.
  TensorMap run(const TensorMap& inputs, const RunOptions& options = {});

  // Gets ready for inputs of these shapes (data is not read), so that the run does not pay for it.
  void prepare(const TensorMap& inputs);

  // By rank, all weights that were loaded for the engine on its devices so far: kernels that keep a
  // packed copy have let go of the original.
  std::vector<WeightLoad> weight_loads() const;

  const Engine& engine() const;

  struct Impl;
  explicit ExecutionContext(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace cleave
