// Exact times for planning from the devices that an engine is built for.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "cleave/log.h"
#include "cleave/timing_cache.h"
#include "cost/exact_times.h"

namespace cleave::compiler {

// What `timings` has not is tuned on device `index` of the backend: the fastest kernel counts. When
// the object goes, `timings` has that too. Error(kDevice) where the device is not there.
std::shared_ptr<cost::ExactTimes> make_device_times(std::shared_ptr<const backend::Backend> backend,
                                                    int index, std::shared_ptr<TimingCache> timings,
                                                    LogSink log);

}  // namespace cleave::compiler
