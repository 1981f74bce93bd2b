#include "cost/kernel_cost.h"

namespace cleave::cost {

double KernelCost::op_us(const ops::OpDefinition& definition, const ops::OpContext& context,
                         std::span<const TensorType> outputs, bool packed) const {
  const OpCost cost = op_cost(definition, context, outputs);
  KernelWork work;
  work.op = definition.name();
  work.flops = cost.flops;
  work.bytes = cost.bytes;
  work.has_product = cost.has_product;
  work.product = cost.product;
  work.product.packed = packed;
  work.width = cost.width;
  work.dtype = outputs.empty() ? DType::kFloat32 : outputs[0].dtype;
  return machine_.kernel_us(work, devices_);
}

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

double copy_us(const MachineModel& machine, int64_t devices, double bytes, int64_t run) {
  KernelWork work;
  work.op = "copy";
  work.bytes = 2 * bytes;
  work.width = run;
  return machine.kernel_us(work, devices);
}

}  // namespace cleave::cost
