# The CUDA backend: one library of its own, libcleave_cuda.so, which the runtime loads when CUDA
# devices are asked for. Included by src/CMakeLists.txt; does nothing where CUDA is not used.
if(NOT CLEAVE_HAVE_CUDA)
  return()
endif()

# Device code that is compiled when it is needed: every src/backend/cuda/device/*.cuh and
# src/ops/*/*.cuh becomes a string that device_source() finds by its name.
file(GLOB device_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/backend/cuda/device/*.cuh
  ${CMAKE_SOURCE_DIR}/src/ops/*/*.cuh)
set(device_sources ${CMAKE_BINARY_DIR}/generated/cuda/device_sources.cc)
cleave_embed_texts(${device_sources} FUNCTION device_source HEADER backend/cuda/device_sources.h
  NAMESPACE cleave::backend FILES ${device_files})

# Every src/ops/<folder>/cuda.cc defines make_<folder>_cuda(), as for the CPU.
cleave_write_kernel_list(cuda ${CMAKE_BINARY_DIR}/generated/builtin_cuda_kernels.cc)

file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/backend/cuda/*.cc
  ${CMAKE_SOURCE_DIR}/src/backend/cuda/*.cu
  ${CMAKE_SOURCE_DIR}/src/comm/nccl/*.cc ${CMAKE_SOURCE_DIR}/src/comm/nccl/*.cu)
file(GLOB cuda_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/cuda*.cc)
list(APPEND cuda_sources ${cuda_kernels})
list(FILTER cuda_sources EXCLUDE REGEX "_(test|bench)\\.cc$|/plugin\\.cc$")
if(NOT CLEAVE_HAVE_CUDNN)
  list(FILTER cuda_sources EXCLUDE REGEX "/cuda_cudnn\\.cc$")
endif()
if(NOT CLEAVE_HAVE_CUDNN_FRONTEND)
  list(FILTER cuda_sources EXCLUDE REGEX "/(cuda_frontend|cudnn_graph)\\.cc$")
endif()
add_library(cleave_cuda_parts STATIC ${cuda_sources} ${device_sources}
  ${CMAKE_BINARY_DIR}/generated/builtin_cuda_kernels.cc)
set_target_properties(cleave_cuda_parts PROPERTIES OPTIMIZE_DEPENDENCIES ON)
target_compile_options(cleave_cuda_parts PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Werror>")
target_include_directories(cleave_cuda_parts SYSTEM PUBLIC ${CUDAToolkit_INCLUDE_DIRS}
  ${NCCL_INCLUDE_DIR})
target_link_libraries(cleave_cuda_parts PUBLIC cleave_kernel_problems CUDA::cudart CUDA::cublasLt
  ${CUDA_nvrtc_LIBRARY} ${NCCL_LIBRARY})
if(CLEAVE_HAVE_CUDNN)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/backend/cuda/findings.cc PROPERTIES
    COMPILE_DEFINITIONS CLEAVE_HAVE_CUDNN)
  target_include_directories(cleave_cuda_parts SYSTEM PUBLIC ${CUDNN_INCLUDE_DIR})
  target_link_libraries(cleave_cuda_parts PUBLIC ${CUDNN_LIBRARY})
endif()
if(CLEAVE_HAVE_CUDNN_FRONTEND)
  target_include_directories(cleave_cuda_parts SYSTEM PRIVATE ${CUDNN_FRONTEND_INCLUDE_DIR})
endif()

# The runtime finds it beside the library or the programs that load it.
add_library(cleave_cuda SHARED ${CMAKE_SOURCE_DIR}/src/backend/cuda/plugin.cc)
target_compile_definitions(cleave_cuda PRIVATE CLEAVE_VERSION="${PROJECT_VERSION}")
target_link_libraries(cleave_cuda PRIVATE cleave_cuda_parts)
target_link_options(cleave_cuda PRIVATE -Wl,--exclude-libs,ALL)
install(TARGETS cleave_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
