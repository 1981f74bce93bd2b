// JsonReader: fields of JSON files that a user may have damaged, read with checks.
#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cleave/error.h"

namespace cleave {

// Every failure is Error(kInvalid): "NAME is not KIND: 'key' is missing", with the hint.
class JsonReader {
 public:
  using Json = nlohmann::json;
  static constexpr double kLargest = 1e18;  // of any number: sums and products stay finite

  JsonReader(std::string name, std::string kind, std::string hint)
      : name_(std::move(name)), kind_(std::move(kind)), hint_(std::move(hint)) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalid, name_ + " is not " + kind_ + ": " + what, hint_);
  }
  // What is no JSON becomes a value in which every member is missing.
  static Json parse(std::string_view text) {
    return Json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  const Json& member(const Json& object, const char* key) const {
    if (!object.is_object() || !object.contains(key)) fail(std::string("'") + key + "' is missing");
    return object.at(key);
  }
  double number(const Json& object, const char* key, double least) const {
    const Json& value = member(object, key);
    if (!value.is_number()) fail(std::string("'") + key + "' is not a number");
    const double result = value.get<double>();
    if (!(result >= least && result <= kLargest)) {
      fail(std::string("'") + key + "' is out of range");
    }
    return result;
  }
  double positive(const Json& object, const char* key) const { return number(object, key, 1e-9); }
  int64_t count(const Json& object, const char* key, double least = 1) const {
    const double value = number(object, key, least);
    if (value > 1e12) fail(std::string("'") + key + "' is out of range");
    if (value != std::floor(value)) fail(std::string("'") + key + "' is not a whole number");
    return static_cast<int64_t>(value);
  }
  std::string text(const Json& object, const char* key) const {
    const Json& value = member(object, key);
    if (!value.is_string()) fail(std::string("'") + key + "' is not a text");
    return value.get<std::string>();
  }
  const Json& list(const Json& object, const char* key) const {
    const Json& value = member(object, key);
    if (!value.is_array()) fail(std::string("'") + key + "' is not a list");
    return value;
  }
  std::vector<std::string> texts(const Json& object, const char* key) const {
    std::vector<std::string> result;
    for (const Json& value : list(object, key)) {
      if (!value.is_string()) fail(std::string("'") + key + "' holds what is not a text");
      result.push_back(value.get<std::string>());
    }
    return result;
  }

 private:
  std::string name_;
  std::string kind_;
  std::string hint_;
};

}  // namespace cleave
