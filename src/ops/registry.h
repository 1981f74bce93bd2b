// Registry: the ops by name. A value made from the list that CMake generates from the folders of
// src/ops; plug-ins add to a copy.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ops/definition.h"

namespace cleave::ops {

class Registry {
 public:
  // All built-in ops.
  static Registry builtin();
  void add(std::shared_ptr<const OpDefinition> definition);
  // Null where there is no such op.
  const OpDefinition* find(std::string_view name) const;
  // Error(kUnsupported) where there is no such op.
  const OpDefinition& at(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  std::map<std::string, std::shared_ptr<const OpDefinition>, std::less<>> definitions_;
};

}  // namespace cleave::ops
