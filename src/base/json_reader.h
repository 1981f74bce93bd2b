// JsonReader: the fields of a JSON file that a user may have written, each checked as it is read.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace cleave {

// Everything throws Error(kInvalid): "<subject>: what is wrong with which key", and the hint.
class JsonReader {
 public:
  using Json = nlohmann::json;

  // `subject`: "m.json is not a machine model".
  JsonReader(std::string subject, std::string hint);

  [[noreturn]] void fail(const std::string& what) const;

  // The text as JSON.
  Json parse(std::string_view text) const;
  // The value of `key`; `object` must be an object that has it.
  const Json& member(const Json& object, const char* key) const;
  // A number from `least` to 1e18: sums and products of such stay finite.
  double number(const Json& object, const char* key, double least) const;
  // A whole number from `least` to 1e12.
  int64_t count(const Json& object, const char* key, int64_t least = 1) const;
  std::string text(const Json& object, const char* key) const;
  std::vector<std::string> texts(const Json& object, const char* key) const;
  bool flag(const Json& object, const char* key) const;
  const Json& list(const Json& object, const char* key) const;

 private:
  std::string subject_;
  std::string hint_;
};

}  // namespace cleave
