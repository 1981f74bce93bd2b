# The CUDA language, for device code that is compiled with the library: src/comm/nccl/*.cu. Included
# by the top CMakeLists.txt where CLEAVE_CUDA is on, as targets of several folders link it.
find_package(CUDAToolkit REQUIRED)
set(CLEAVE_CUDA_ARCHITECTURES "80;90" CACHE STRING "GPUs to compile for: compute capabilities")
set(CMAKE_CUDA_ARCHITECTURES ${CLEAVE_CUDA_ARCHITECTURES})
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CLEAVE_NVCC nvcc HINTS ${CUDAToolkit_BIN_DIR} ${CUDAToolkit_ROOT}/bin REQUIRED)
  set(CMAKE_CUDA_COMPILER ${CLEAVE_NVCC})
endif()
if(NOT CMAKE_CUDA_HOST_COMPILER)
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
if(CLEAVE_CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CLEAVE_CCACHE})
endif()
enable_language(CUDA)
# CMake 3.25 does not know that nvcc has C++20.
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
# What the host compiler looks into anyway must not be named, or it looks there in another order.
list(APPEND CMAKE_CUDA_IMPLICIT_INCLUDE_DIRECTORIES ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES})
# Targets name the runtime themselves (CUDA::cudart).
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_EXTENSIONS OFF)
