# What Cleave is built on; each is found as its package installs it, nothing is vendored.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(nlohmann_json REQUIRED)

# xxHash's header alone, without the library, is all of it: where the package is not installed, that
# which pyarrow brings will do, or one in the folder that CLEAVE_XXHASH_INCLUDE_DIR names.
find_path(CLEAVE_XXHASH_INCLUDE_DIR xxhash.h DOC "The folder of xxhash.h")
if(NOT CLEAVE_XXHASH_INCLUDE_DIR)
  execute_process(COMMAND python3 -c "import importlib.util as u;print(u.find_spec('pyarrow').submodule_search_locations[0])"
    OUTPUT_VARIABLE pyarrow_folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_path(CLEAVE_XXHASH_INCLUDE_DIR xxhash.h
    PATHS ${pyarrow_folder}/include/arrow/vendored/xxhash NO_DEFAULT_PATH)
endif()
find_library(XXHASH_LIBRARY xxhash)
if(NOT CLEAVE_XXHASH_INCLUDE_DIR)
  message(FATAL_ERROR "xxhash.h was not found; scripts/setup installs xxHash, or set "
    "CLEAVE_XXHASH_INCLUDE_DIR to a folder that holds the header")
endif()
add_library(cleave_xxhash INTERFACE)
target_include_directories(cleave_xxhash SYSTEM INTERFACE ${CLEAVE_XXHASH_INCLUDE_DIR})
if(XXHASH_LIBRARY)
  target_link_libraries(cleave_xxhash INTERFACE ${XXHASH_LIBRARY})
else()
  target_compile_definitions(cleave_xxhash INTERFACE XXH_INLINE_ALL)
endif()

# oneDNN is optional: it adds kernels to those of our own (docs/adr/0004-own-matrix-product.md).
option(CLEAVE_ONEDNN "Use oneDNN's kernels where the library is found" ON)
find_path(DNNL_INCLUDE_DIR dnnl.hpp)
find_library(DNNL_LIBRARY dnnl)
add_library(cleave_onednn INTERFACE)
if(CLEAVE_ONEDNN AND DNNL_INCLUDE_DIR AND DNNL_LIBRARY)
  set(CLEAVE_HAVE_ONEDNN ON)
  target_include_directories(cleave_onednn SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
  target_link_libraries(cleave_onednn INTERFACE ${DNNL_LIBRARY} ${CMAKE_DL_LIBS})
else()
  set(CLEAVE_HAVE_ONEDNN OFF)
  message(STATUS "oneDNN is not used: matrix products have the built-in kernels alone")
endif()

# ONNX's schema comes with the Python package `onnx` (scripts/setup puts it into .venv).
file(GLOB onnx_candidates ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/onnx)
if(NOT onnx_candidates)
  execute_process(COMMAND python3 -c "import importlib.util as u;print(u.find_spec('onnx').submodule_search_locations[0])"
    OUTPUT_VARIABLE onnx_candidates OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
find_file(ONNX_PROTO onnx.proto PATHS ${onnx_candidates} NO_DEFAULT_PATH)
if(NOT ONNX_PROTO)
  message(FATAL_ERROR "onnx.proto was not found; scripts/setup installs the Python package `onnx`")
endif()

# cleave_protobuf(TARGET FILE): the C++ code of one .proto file as a library.
function(cleave_protobuf target proto)
  get_filename_component(name ${proto} NAME_WE)
  get_filename_component(folder ${proto} DIRECTORY)
  set(out ${CMAKE_BINARY_DIR}/generated/${target})
  file(MAKE_DIRECTORY ${out})
  add_custom_command(OUTPUT ${out}/${name}.pb.cc ${out}/${name}.pb.h
    COMMAND protobuf::protoc --cpp_out=${out} -I${folder} ${proto} DEPENDS ${proto} VERBATIM)
  add_library(${target} STATIC ${out}/${name}.pb.cc)
  target_include_directories(${target} SYSTEM PUBLIC ${out})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
endfunction()
