#include "base/json_reader.h"

#include <gtest/gtest.h>

#include "cleave/error.h"

namespace cleave {
namespace {

const JsonReader kReader("x.json is no plan", "make one");

// What reading `text` says, or nothing.
template <class Read>
std::string refusal(const char* text, Read&& read) {
  try {
    read(kReader.parse(text));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_EQ(error.hint(), "make one");
    return error.message();
  }
  return {};
}

TEST(JsonReader, ReadsFields) {
  const auto json =
      kReader.parse(R"({"n": 2.5, "c": 3, "t": "text", "f": true, "l": [1], "z": 0})");
  EXPECT_EQ(kReader.number(json, "n", 0), 2.5);
  EXPECT_EQ(kReader.count(json, "c"), 3);
  EXPECT_EQ(kReader.count(json, "z", 0), 0);
  EXPECT_EQ(kReader.text(json, "t"), "text");
  EXPECT_TRUE(kReader.flag(json, "f"));
  EXPECT_EQ(kReader.list(json, "l").size(), 1u);
}

TEST(JsonReader, RefusalsNameFileAndKey) {
  const auto number = [](const auto& json) { kReader.number(json, "n", 1); };
  const auto count = [](const auto& json) { kReader.count(json, "n"); };
  EXPECT_EQ(refusal("{", number), "x.json is no plan: it is no JSON");
  EXPECT_EQ(refusal("[]", number), "x.json is no plan: 'n' is missing");
  EXPECT_EQ(refusal("{}", number), "x.json is no plan: 'n' is missing");
  EXPECT_EQ(refusal(R"({"n": "1"})", number), "x.json is no plan: 'n' is not a number");
  EXPECT_EQ(refusal(R"({"n": 0.5})", number), "x.json is no plan: 'n' is out of range");
  EXPECT_EQ(refusal(R"({"n": 1e19})", number), "x.json is no plan: 'n' is out of range");
  EXPECT_EQ(refusal(R"({"n": 1.5})", count), "x.json is no plan: 'n' is not a whole number");
  EXPECT_EQ(refusal(R"({"n": 1e13})", count), "x.json is no plan: 'n' is out of range");
  EXPECT_EQ(refusal(R"({"n": 1})", [](const auto& json) { kReader.text(json, "n"); }),
            "x.json is no plan: 'n' is not a text");
  EXPECT_EQ(refusal(R"({"n": 1})", [](const auto& json) { kReader.flag(json, "n"); }),
            "x.json is no plan: 'n' is not true or false");
  EXPECT_EQ(refusal(R"({"n": {}})", [](const auto& json) { kReader.list(json, "n"); }),
            "x.json is no plan: 'n' is not a list");
}

}  // namespace
}  // namespace cleave
