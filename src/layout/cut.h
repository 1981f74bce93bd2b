// Cut lies in types/, because the runtime needs it too.
#pragma once

#include "types/cut.h"  // IWYU pragma: export
