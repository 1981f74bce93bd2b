// The whole public interface of Cleave.
#pragma once

#include "cleave/builder.h"       // IWYU pragma: export
#include "cleave/device_list.h"   // IWYU pragma: export
#include "cleave/dtype.h"         // IWYU pragma: export
#include "cleave/engine.h"        // IWYU pragma: export
#include "cleave/error.h"         // IWYU pragma: export
#include "cleave/log.h"           // IWYU pragma: export
#include "cleave/measure.h"       // IWYU pragma: export
#include "cleave/network.h"       // IWYU pragma: export
#include "cleave/runtime.h"       // IWYU pragma: export
#include "cleave/tensor.h"        // IWYU pragma: export
#include "cleave/timeline.h"      // IWYU pragma: export
#include "cleave/timing_cache.h"  // IWYU pragma: export
