# How the CPU kernels are compiled and collected; included by src/CMakeLists.txt.

# The vectorised loops are compiled once an instruction set and chosen when the program runs. NaN
# and infinity keep their meaning; only errno and traps, which nobody reads, are given up.
set(cleave_loop_flags -O3 -fno-math-errno -fno-trapping-math)
set(cleave_simd ${CMAKE_SOURCE_DIR}/src/backend/cpu/simd)
set_source_files_properties(${cleave_simd}/isa_baseline.cc PROPERTIES
  COMPILE_OPTIONS "${cleave_loop_flags}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set_source_files_properties(${cleave_simd}/isa_avx2.cc PROPERTIES
    COMPILE_OPTIONS "${cleave_loop_flags};-mavx2;-mfma;-mf16c"
    COMPILE_DEFINITIONS CLEAVE_X86_SIMD)
  set_source_files_properties(${cleave_simd}/isa_avx512.cc PROPERTIES
    COMPILE_OPTIONS "${cleave_loop_flags};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprefer-vector-width=512"
    COMPILE_DEFINITIONS CLEAVE_X86_SIMD)
  set_source_files_properties(${cleave_simd}/simd.cc PROPERTIES
    COMPILE_DEFINITIONS CLEAVE_X86_SIMD)
endif()

# cleave_write_kernel_list(BACKEND FILE): the list of a backend's kernels, in the order in which
# those of an op are tried: every src/ops/<folder>/<backend>.cc defines
#   std::vector<std::shared_ptr<const Kernel>> make_<folder>_<backend>()
# in cleave::backend, and, compiled only where the library is used, cpu_onednn.cc
# make_<folder>_cpu_onednn(), cuda_cudnn.cc make_<folder>_cuda_cudnn() and, for cuDNN's front end,
# cuda_frontend.cc make_<folder>_cuda_frontend(). On GPUs kernels of the front end come first, then
# cuDNN's.
# The calls are written into KernelRegistry builtin_<backend>, the one place that knows which
# optional libraries there are.
function(cleave_write_kernel_list backend file)
  set(parts ${backend})
  if(backend STREQUAL "cpu" AND CLEAVE_HAVE_ONEDNN)
    list(APPEND parts cpu_onednn)
  endif()
  if(backend STREQUAL "cuda" AND CLEAVE_HAVE_CUDNN)
    list(PREPEND parts cuda_cudnn)
  endif()
  if(backend STREQUAL "cuda" AND CLEAVE_HAVE_CUDNN_FRONTEND)
    list(PREPEND parts cuda_frontend)
  endif()
  set(declarations "")
  set(calls "")
  foreach(part ${parts})
    file(GLOB paths CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/${part}.cc)
    foreach(path ${paths})
      get_filename_component(folder ${path} DIRECTORY)
      get_filename_component(folder ${folder} NAME)
      set(function make_${folder}_${part})
      string(APPEND declarations "std::vector<std::shared_ptr<const Kernel>> ${function}();\n")
      string(APPEND calls "  for (auto& kernel : ${function}()) registry.add(std::move(kernel));\n")
    endforeach()
  endforeach()
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT
"// Written by cmake/CleaveKernels.cmake.
#include <utility>

#include \"backend/builtin_kernels.h\"

namespace cleave::backend {

@declarations@
KernelRegistry builtin_@backend@_kernels() {
  KernelRegistry registry;
@calls@  return registry;
}

}  // namespace cleave::backend
")
endfunction()

cleave_write_kernel_list(cpu ${CMAKE_BINARY_DIR}/generated/builtin_cpu_kernels.cc)
target_sources(cleave_kernels PRIVATE ${CMAKE_BINARY_DIR}/generated/builtin_cpu_kernels.cc)
