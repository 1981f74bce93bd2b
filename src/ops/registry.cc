#include "ops/registry.h"

#include "base/check.h"

namespace cleave::ops {

void Registry::add(std::shared_ptr<const OpDefinition> definition) {
  const std::string name(definition->name());
  CLEAVE_CHECK(definitions_.emplace(name, std::move(definition)).second,
               "two ops are named " + name);
}

const OpDefinition* Registry::find(std::string_view name) const {
  const auto it = definitions_.find(name);
  return it == definitions_.end() ? nullptr : it->second.get();
}

const OpDefinition& Registry::at(std::string_view name) const {
  const OpDefinition* definition = find(name);
  if (!definition) {
    throw Error(ErrorCode::kUnsupported, "there is no op '" + std::string(name) + "'");
  }
  return *definition;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, definition] : definitions_) names.push_back(name);
  return names;
}

}  // namespace cleave::ops
