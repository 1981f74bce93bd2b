// Measuring a machine: what kernels and collectives cost on its devices.
#pragma once

#include <string>

#include "cleave/device_list.h"
#include "cleave/log.h"

namespace cleave {

struct MeasureOptions {
  DeviceList devices = DeviceList::cpu(2);
  double seconds = 30;  // about; half of it where there is one device
  LogSink log;          // at info: what is being measured
};

// The machine model as JSON, which BuilderConfig::machine names a file of: one device at work
// alone, and all of `devices` at work at once, as they are when an engine runs. The machine should
// be otherwise idle. Error(kDevice) where a device is not there.
std::string measure_machine(const MeasureOptions& options);

}  // namespace cleave
