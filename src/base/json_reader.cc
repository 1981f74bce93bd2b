#include "base/json_reader.h"

#include <cmath>
#include <utility>

#include "cleave/error.h"

namespace cleave {
namespace {

constexpr double kLargestNumber = 1e18;
constexpr double kLargestCount = 1e12;

std::string quoted(const char* key) { return "'" + std::string(key) + "'"; }

}  // namespace

JsonReader::JsonReader(std::string subject, std::string hint)
    : subject_(std::move(subject)), hint_(std::move(hint)) {}

void JsonReader::fail(const std::string& what) const {
  throw Error(ErrorCode::kInvalid, subject_ + ": " + what, hint_);
}

JsonReader::Json JsonReader::parse(std::string_view text) const {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("it is no JSON");
  return json;
}

const JsonReader::Json& JsonReader::member(const Json& object, const char* key) const {
  if (!object.is_object() || !object.contains(key)) fail(quoted(key) + " is missing");
  return object.at(key);
}

double JsonReader::number(const Json& object, const char* key, double least) const {
  const Json& value = member(object, key);
  if (!value.is_number()) fail(quoted(key) + " is not a number");
  const double result = value.get<double>();
  if (!(result >= least && result <= kLargestNumber)) fail(quoted(key) + " is out of range");
  return result;
}

int64_t JsonReader::count(const Json& object, const char* key, int64_t least) const {
  const double value = number(object, key, static_cast<double>(least));
  if (value > kLargestCount) fail(quoted(key) + " is out of range");
  if (value != std::floor(value)) fail(quoted(key) + " is not a whole number");
  return static_cast<int64_t>(value);
}

std::string JsonReader::text(const Json& object, const char* key) const {
  const Json& value = member(object, key);
  if (!value.is_string()) fail(quoted(key) + " is not a text");
  return value.get<std::string>();
}

bool JsonReader::flag(const Json& object, const char* key) const {
  const Json& value = member(object, key);
  if (!value.is_boolean()) fail(quoted(key) + " is not true or false");
  return value.get<bool>();
}

const JsonReader::Json& JsonReader::list(const Json& object, const char* key) const {
  const Json& value = member(object, key);
  if (!value.is_array()) fail(quoted(key) + " is not a list");
  return value;
}

std::vector<std::string> JsonReader::texts(const Json& object, const char* key) const {
  std::vector<std::string> result;
  for (const Json& value : list(object, key)) {
    if (!value.is_string()) fail(quoted(key) + " holds what is not a text");
    result.push_back(value.get<std::string>());
  }
  return result;
}

}  // namespace cleave
