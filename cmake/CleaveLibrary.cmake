# cleave_embed_texts(OUTPUT FUNCTION f HEADER h NAMESPACE n FILES file...): OUTPUT becomes a source
# file whose function f, declared in h, gives the text of each file by its name.
function(cleave_embed_texts output)
  cmake_parse_arguments(ARG "" "FUNCTION;HEADER;NAMESPACE" "FILES" ${ARGN})
  set(script ${CMAKE_SOURCE_DIR}/cmake/EmbedTexts.cmake)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${ARG_FILES}" -DOUTPUT=${output} -DFUNCTION=${ARG_FUNCTION}
      -DHEADER=${ARG_HEADER} -DNAMESPACE=${ARG_NAMESPACE} -P ${script}
    DEPENDS ${ARG_FILES} ${script} VERBATIM)
endfunction()

# cleave_library(NAME DEPENDS target...): the library of one folder of src/. Its sources are every
# .cc file under the folder but tests (`*_test.cc`) and benchmarks (`bench.cc`, `*_bench.cc`).
# EXCLUDE and INCLUDE_ONLY take regular expressions on the path, for folders whose files belong to
# several layers (src/ops).
function(cleave_library name)
  cmake_parse_arguments(ARG "" "FOLDER;EXCLUDE;INCLUDE_ONLY" "DEPENDS" ${ARGN})
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER ${name})
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${ARG_FOLDER}/*.cc)
  list(FILTER sources EXCLUDE REGEX "(_test|bench)\\.cc$")
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${ARG_EXCLUDE}")
  endif()
  if(ARG_INCLUDE_ONLY)
    list(FILTER sources INCLUDE REGEX "${ARG_INCLUDE_ONLY}")
  endif()
  if(sources)
    add_library(cleave_${name} STATIC ${sources})
    target_link_libraries(cleave_${name} PUBLIC cleave_options ${ARG_DEPENDS})
  else()
    add_library(cleave_${name} INTERFACE)
    target_link_libraries(cleave_${name} INTERFACE cleave_options ${ARG_DEPENDS})
  endif()
endfunction()
