# Benchmarks and whole-run programs: every src/**/*_bench.cc and bench/*.cc is one program, written
# against Google Benchmark or with a main() of its own. `<name>_bench.cc` and bench/<name>.cc become
# bin/bench_<name>. None is part of the default build; the target `benchmarks` makes them all.
find_package(benchmark REQUIRED)

# What they share with the tests.
file(GLOB bench_support_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/property/*.cc)
list(FILTER bench_support_sources EXCLUDE REGEX "_test\\.cc$")
add_library(cleave_bench_support STATIC EXCLUDE_FROM_ALL ${bench_support_sources})
target_link_libraries(cleave_bench_support PUBLIC cleave)
target_include_directories(cleave_bench_support PUBLIC ${CMAKE_SOURCE_DIR})

add_custom_target(benchmarks)
file(GLOB_RECURSE bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*_bench.cc)
file(GLOB bench_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.cc)
if(NOT CLEAVE_HAVE_CUDA)
  list(FILTER bench_sources EXCLUDE REGEX "/comm/nccl/")
endif()
foreach(source ${bench_sources} ${bench_programs})
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_bench$" "" name ${name})
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
  if(source MATCHES "/comm/nccl/")
    target_link_libraries(bench_${name} PRIVATE cleave_cuda_parts)
  else()
    target_link_libraries(bench_${name} PRIVATE cleave_bench_support cleave_cli benchmark::benchmark)
  endif()
  add_dependencies(benchmarks bench_${name})
endforeach()
