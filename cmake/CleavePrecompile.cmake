# Standard headers that nearly every file reads, parsed once a build and not once a file. A compiler
# cache does better than that, and the sanitizers' builds are where a file that forgets an include
# of its own fails: neither precompiles.
if(CLEAVE_CCACHE OR CLEAVE_SANITIZE)
  set(precompile OFF)
else()
  set(precompile ON)
endif()
option(CLEAVE_PRECOMPILE "Precompile the standard headers" ${precompile})

set(CLEAVE_STANDARD_HEADERS <algorithm> <array> <atomic> <chrono> <cmath> <condition_variable>
  <cstdint> <cstring> <filesystem> <fstream> <functional> <limits> <map> <memory> <mutex> <numeric>
  <optional> <random> <set> <span> <sstream> <string> <string_view> <thread> <unordered_map>
  <utility> <vector>)

# cleave_precompile(TARGET OWNER header...): TARGET uses the headers that OWNER precompiles, a
# target with the same compiler flags; the first one to name an owner becomes it.
function(cleave_precompile target owner)
  if(NOT CLEAVE_PRECOMPILE)
    return()
  endif()
  get_property(first GLOBAL PROPERTY CLEAVE_PRECOMPILED_${owner})
  if(first)
    target_precompile_headers(${target} REUSE_FROM ${first})
  else()
    set_property(GLOBAL PROPERTY CLEAVE_PRECOMPILED_${owner} ${target})
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
