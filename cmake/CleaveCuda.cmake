# The CUDA backend: one library of its own, libcleave_cuda.so, which the runtime loads when CUDA
# devices are asked for. Included by src/CMakeLists.txt; does nothing where CLEAVE_CUDA is OFF, or
# AUTO and something is missing.
set(CLEAVE_HAVE_CUDA OFF)
if(CLEAVE_CUDA STREQUAL "OFF")
  return()
endif()
find_package(CUDAToolkit QUIET)
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${CUDAToolkit_LIBRARY_DIR})
foreach(needed CUDAToolkit_FOUND NCCL_INCLUDE_DIR NCCL_LIBRARY)
  if(NOT ${needed})
    if(NOT CLEAVE_CUDA STREQUAL "AUTO")
      message(FATAL_ERROR "CLEAVE_CUDA is ${CLEAVE_CUDA}, and ${needed} is not set")
    endif()
    message(STATUS "CUDA is not used: ${needed} is not set")
    return()
  endif()
endforeach()
set(CLEAVE_HAVE_CUDA ON)
set(CLEAVE_HAVE_CUDA ON PARENT_SCOPE)
# cuDNN is optional: without it convolutions are those of conv.plain.
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR})
if(CUDNN_INCLUDE_DIR AND CUDNN_LIBRARY)
  set(CLEAVE_HAVE_CUDNN ON)
else()
  set(CLEAVE_HAVE_CUDNN OFF)
  message(STATUS "cuDNN was not found: convolutions on GPUs are slow without it")
endif()

# Device code that is compiled when it is needed: every src/backend/cuda/device/*.cuh and
# src/ops/*/*.cuh becomes a string that device_source() finds by its name.
file(GLOB device_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/backend/cuda/device/*.cuh
  ${CMAKE_SOURCE_DIR}/src/ops/*/*.cuh)
set(device_sources ${CMAKE_BINARY_DIR}/generated/cuda/device_sources.cc)
add_custom_command(OUTPUT ${device_sources}
  COMMAND ${CMAKE_COMMAND} "-DFILES=${device_files}" -DOUTPUT=${device_sources}
    -P ${CMAKE_SOURCE_DIR}/cmake/EmbedDeviceSources.cmake
  DEPENDS ${device_files} ${CMAKE_SOURCE_DIR}/cmake/EmbedDeviceSources.cmake VERBATIM)

# Every src/ops/<folder>/cuda.cc defines make_<folder>_cuda(), as for the CPU.
cleave_write_kernel_list(cuda ${CMAKE_BINARY_DIR}/generated/builtin_cuda_kernels.cc)

file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/backend/cuda/*.cc
  ${CMAKE_SOURCE_DIR}/src/comm/nccl/*.cc)
file(GLOB cuda_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/cuda*.cc)
list(APPEND cuda_sources ${cuda_kernels})
list(FILTER cuda_sources EXCLUDE REGEX "_test\\.cc$|/plugin\\.cc$")
if(NOT CLEAVE_HAVE_CUDNN)
  list(FILTER cuda_sources EXCLUDE REGEX "/cuda_cudnn\\.cc$")
endif()
add_library(cleave_cuda_parts STATIC ${cuda_sources} ${device_sources}
  ${CMAKE_BINARY_DIR}/generated/builtin_cuda_kernels.cc)
set_target_properties(cleave_cuda_parts PROPERTIES OPTIMIZE_DEPENDENCIES ON)
target_include_directories(cleave_cuda_parts SYSTEM PUBLIC ${CUDAToolkit_INCLUDE_DIRS}
  ${NCCL_INCLUDE_DIR})
target_link_libraries(cleave_cuda_parts PUBLIC cleave_kernel_problems CUDA::cudart CUDA::cublasLt
  CUDA::nvrtc ${NCCL_LIBRARY})
if(CLEAVE_HAVE_CUDNN)
  target_include_directories(cleave_cuda_parts SYSTEM PUBLIC ${CUDNN_INCLUDE_DIR})
  target_link_libraries(cleave_cuda_parts PUBLIC ${CUDNN_LIBRARY})
endif()

# The runtime finds it beside the library or the programs that load it.
add_library(cleave_cuda SHARED ${CMAKE_SOURCE_DIR}/src/backend/cuda/plugin.cc)
target_compile_definitions(cleave_cuda PRIVATE CLEAVE_VERSION="${PROJECT_VERSION}")
target_link_libraries(cleave_cuda PRIVATE cleave_cuda_parts)
target_link_options(cleave_cuda PRIVATE -Wl,--exclude-libs,ALL)
install(TARGETS cleave_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
