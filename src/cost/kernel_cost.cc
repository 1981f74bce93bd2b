#include "cost/kernel_cost.h"

#include <algorithm>

#include "cost/exact_times.h"

namespace cleave::cost {

double KernelCost::us() const {
  if (!has_chain_) return op_us_;
  KernelWork chain;
  chain.op = "fused_elementwise";
  chain.flops = flops_;
  chain.bytes = bytes_;
  const double us = machine_.kernel_us(chain, devices_);
  if (!has_op_) return us;
  // Behind an op the chain is no launch of its own.
  return op_us_ + us - machine_.kernel_us({"fused_elementwise"}, devices_);
}

double op_us(const MachineModel& machine, int64_t devices, const ops::OpDefinition& definition,
             const ops::OpContext& context, std::span<const TensorType> outputs, bool packed,
             Format format) {
  const OpCost cost = op_cost(definition, context, outputs);
  KernelWork work;
  work.op = cost.name(format);
  work.flops = cost.flops;
  work.bytes = cost.bytes;
  work.has_product = cost.has_product;
  work.product = cost.product;
  work.product.packed = packed;
  work.tf32 = cost.tf32;
  work.width = cost.width;
  // A product's result may be wider than what it computes in.
  if (cost.has_product) {
    work.dtype = context.inputs[0].dtype;
  } else if (!outputs.empty()) {
    work.dtype = outputs[0].dtype;
  }
  const double us = machine.kernel_us(work, devices);
  // Small work is not worth a trial, whatever the curve is wrong by.
  constexpr double kWorthTiming = 20;
  if (machine.exact() == nullptr || us < kWorthTiming) return us;
  const auto spec = exact_spec(definition, context, outputs, packed, format);
  return spec ? machine.exact()->kernel_us(*spec).value_or(us) : us;
}

double copy_us(const MachineModel& machine, int64_t devices, double bytes, int64_t run,
               size_t element_bytes) {
  KernelWork work;
  work.op = "copy";
  work.bytes = 2 * bytes;
  work.width = run;
  work.dtype = element_bytes == size_of(DType::kFloat16) ? DType::kFloat16 : DType::kFloat32;
  return machine.kernel_us(work, devices);
}

double ranks_us(const MachineModel& machine, std::span<const double> by_rank) {
  double slowest = 0;
  double total = 0;
  for (const double us : by_rank) {
    slowest = std::max(slowest, us);
    total += us;
  }
  return std::max(slowest, total / static_cast<double>(machine.cores()));
}

}  // namespace cleave::cost
