// KernelCost: the time of one kernel as planner and lowering both describe it, so that what is
// costed is what runs: an op, a chain of element-wise ops, or a chain that runs in an op's kernel.
#pragma once

#include <span>
#include <string_view>

#include "cost/op_cost.h"

namespace cleave::cost {

class KernelCost {
 public:
  // For a device of which `devices` are at work at once.
  KernelCost(const MachineModel& machine, int64_t devices) : machine_(machine), devices_(devices) {}

  // The op whose kernel it is, with its time alone: see op_us.
  void set_op(double us) {
    op_us_ = us;
    has_op_ = true;
  }

  // An element-wise op of the chain, on so many elements.
  void add_step(std::string_view op, double elements) {
    flops_ += elements * arithmetic_weight(op);
    has_chain_ = true;
  }
  // Bytes that the chain reads or writes outside the kernel's own cache: its operands (but what is
  // broadcast to it), and, where there is no op before it, its result.
  void add_bytes(double bytes) { bytes_ += bytes; }
  // What it takes longer to read such an operand in another order than its result's: see across_us.
  void add_us(double us) { more_us_ += us; }

  double us() const;

 private:
  const MachineModel& machine_;
  int64_t devices_;
  double op_us_ = 0;
  double flops_ = 0;
  double bytes_ = 0;
  double more_us_ = 0;
  bool has_op_ = false;
  bool has_chain_ = false;
};

// The time of an op's kernel; `context` and `outputs` hold numeric types. `packed`: input 1 is a
// constant, packed at load. `format`: of what it reads and writes.
double op_us(const MachineModel& machine, int64_t devices, const ops::OpDefinition& definition,
             const ops::OpContext& context, std::span<const TensorType> outputs, bool packed,
             Format format);

// The time of copying `bytes`, `run` elements of which lie one behind the other at a time.
double copy_us(const MachineModel& machine, int64_t devices, double bytes, int64_t run,
               size_t element_bytes);

// What a chain takes longer where its kernel reads an operand across memory (see
// Capabilities::reads_across): `run` elements of it lie one behind the other in the order of the
// result.
double across_us(const MachineModel& machine, int64_t devices, double bytes, int64_t run,
                 size_t element_bytes);

// The time until all ranks are done, from what each takes: devices that share cores finish no
// sooner than the cores get through the work of all.
double ranks_us(const MachineModel& machine, std::span<const double> by_rank);

}  // namespace cleave::cost
