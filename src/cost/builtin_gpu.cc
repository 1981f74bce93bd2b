#include "cost/machine_model.h"
#include "cost/shipped_machines.h"

namespace cleave::cost {

MachineModel MachineModel::builtin_gpu() {
  MachineModel model = parse(shipped_machine("h200-x2-2026-11-26"), "machines/h200-x2-2026-11-26");
  model.set_name("two H200 GPUs, measured 2026-11-26");
  return model;
}

}  // namespace cleave::cost
