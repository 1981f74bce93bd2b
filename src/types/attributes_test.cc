#include "types/attributes.h"

#include <gtest/gtest.h>

#include "cleave/error.h"

namespace cleave {
namespace {

TEST(Attributes, TextRoundTrips) {
  Attributes attributes;
  attributes.set("axis", Dim(-1));
  attributes.set("shape", std::vector<Dim>{Dim::symbol("batch"), floor_div(Dim::symbol("s"), 2)});
  attributes.set("scale", 0.125);
  attributes.set("whole", 3.0);
  attributes.set("limit", -std::numeric_limits<double>::infinity());
  attributes.set("mode", "a \"quoted\"\\ text\n");
  attributes.set("to", DType::kBFloat16);
  attributes.set("scales", std::vector<double>{1.0, 1e-30});
  attributes.set("steps", std::vector<std::string>{"add", "x,y]"});
  attributes.set("none", std::vector<Dim>{});
  size_t position = 0;
  const std::string text = attributes.text();
  EXPECT_EQ(Attributes::parse(text, position), attributes) << text;
  EXPECT_EQ(position, text.size());
}

TEST(Attributes, BadTextIsAnError) {
  for (const char* bad :
       {"", "{", "{a}", "{a=}", "{a=1, a=2}", "{a=[1}", "{a=\"x}", "{a=type(q)}"}) {
    size_t position = 0;
    EXPECT_THROW(Attributes::parse(bad, position), Error) << bad;
  }
}

TEST(Attributes, TypedAccessNamesTheAttribute) {
  const Attributes attributes = {{"axis", Dim::symbol("n")}};
  EXPECT_THROW(attributes.integer("axis"), Error);
  EXPECT_THROW(attributes.real("axis"), Error);
  EXPECT_EQ(attributes.integer("other", 7), 7);
  try {
    attributes.dims("perm");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("perm"), std::string::npos);
  }
  EXPECT_EQ(attributes.evaluated({{"n", 4}}).integer("axis"), 4);
}

}  // namespace
}  // namespace cleave
