# cleave_op_registry(): writes the list of built-in ops from the folders of src/ops. Every folder
# <op> with a file <op>.cc defines make_<op>(); Registry::builtin() calls them all.
function(cleave_op_registry)
  file(GLOB definitions CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/*.cc)
  set(declarations "")
  set(calls "")
  foreach(file ${definitions})
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(folder ${folder} NAME)
    get_filename_component(name ${file} NAME_WE)
    if(name STREQUAL folder)
      string(APPEND declarations
        "std::vector<std::shared_ptr<const OpDefinition>> make_${name}();\n")
      string(APPEND calls "  add_all(registry, make_${name}());\n")
    endif()
  endforeach()
  set(generated ${CMAKE_BINARY_DIR}/generated/ops/builtin_ops.cc)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/builtin_ops.cc.in ${generated} @ONLY)
  target_sources(cleave_ops PRIVATE ${generated})
endfunction()

# cleave_op_capabilities(BACKEND): adds src/ops/*/capabilities_<backend>.cc to the capabilities, with
# the list of what they make: every one defines make_<folder>_capabilities_<backend>().
function(cleave_op_capabilities backend)
  file(GLOB paths CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/capabilities_${backend}.cc)
  set(declarations "")
  set(calls "")
  foreach(path ${paths})
    get_filename_component(folder ${path} DIRECTORY)
    get_filename_component(folder ${folder} NAME)
    set(function make_${folder}_capabilities_${backend})
    string(APPEND declarations "OpCapabilitiesList ${function}();\n")
    string(APPEND calls "  for (auto& op : ${function}()) list.push_back(std::move(op));\n")
  endforeach()
  set(generated ${CMAKE_BINARY_DIR}/generated/capabilities/${backend}_ops.cc)
  file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT
"// Written by cmake/CleaveOps.cmake.
#include <utility>

#include \"capabilities/op_capabilities.h\"

namespace cleave::capabilities {

@declarations@
OpCapabilitiesList @backend@_op_capabilities() {
  OpCapabilitiesList list;
@calls@  return list;
}

}  // namespace cleave::capabilities
")
  target_sources(cleave_capabilities PRIVATE ${paths} ${generated})
endfunction()
