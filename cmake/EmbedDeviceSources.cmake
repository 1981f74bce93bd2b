# Writes OUTPUT, which holds the text of each of FILES by its name without the extension.
set(entries "")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  # String literals have a limit of length: a piece a few thousand characters long each.
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 8000 piece)
    string(APPEND pieces "R\"~~~~(${piece})~~~~\"\n")
    math(EXPR at "${at} + 8000")
  endwhile()
  string(APPEND entries "    {\"${name}\",\n${pieces}},\n")
endforeach()
file(WRITE ${OUTPUT}
"// Written by cmake/EmbedDeviceSources.cmake.
#include \"backend/cuda/device_sources.h\"

#include <map>

#include \"base/check.h\"

namespace cleave::backend {

std::string_view device_source(std::string_view name) {
  static const std::map<std::string_view, std::string_view> kSources = {
${entries}  };
  const auto found = kSources.find(name);
  CLEAVE_CHECK(found != kSources.end(), \"no device code of this name\");
  return found->second;
}

}  // namespace cleave::backend
")
