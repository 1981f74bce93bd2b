#include "shapes.h"

#include <gtest/gtest.h>

#include "tests/support/error_of.h"

namespace cleave::cli {
namespace {

template <class Call>
ErrorCode code_of(Call&& call) {
  const Error error = error_of(call);
  EXPECT_FALSE(error.hint().empty());
  return error.code();
}

TEST(Shapes, ReadsNamesAndSizes) {
  const NamedShapes wanted = {{"x", {1, 128}}, {"serving:0", {7}}, {"scalar", {}}};
  EXPECT_EQ(parse_shapes("--shapes", "x:1x128,serving:0:7,scalar:"), wanted);
  EXPECT_EQ(shapes_text({{"x", {1, 128}}, {"y", {7}}}), "x:1x128,y:7");
  EXPECT_EQ(*find_shape(wanted, "x"), (std::vector<int64_t>{1, 128}));
  EXPECT_EQ(find_shape(wanted, "z"), nullptr);
}

TEST(Shapes, RefusesWhatIsNone) {
  for (const char* text : {"", "x", "x:1xtwo", "x:1x", "x:x1", ":1x2", "x:-1", "x:1,", "x:1,x:2",
                           "x:99999999999999999999", "x:1 x2"}) {
    EXPECT_EQ(code_of([&] { parse_shapes("--shapes", text); }), ErrorCode::kUsage) << text;
  }
}

TEST(Bytes, ReadsUnits) {
  EXPECT_EQ(parse_bytes("--memory", "65536"), 65536);
  EXPECT_EQ(parse_bytes("--memory", "16GiB"), int64_t{16} << 30);
  EXPECT_EQ(parse_bytes("--memory", "1.5 MiB"), 3 << 19);
  EXPECT_EQ(parse_bytes("--memory", "2GB"), 2'000'000'000);
}

TEST(Bytes, RefusesWhatIsNoAmount) {
  for (const char* text :
       {"", "plenty", "-1", "0", "GiB", "16 gigs", "1e300", "nan", "inf", "0.1", "16GiBx"}) {
    EXPECT_EQ(code_of([&] { parse_bytes("--memory", text); }), ErrorCode::kUsage) << text;
  }
}

TEST(Mesh, MustArrangeTheDevices) {
  check_mesh("4", 4);
  for (const char* text : {"", "3", "3x3", "4x", "x", "0x4", "9999999999x9999999999"}) {
    EXPECT_EQ(code_of([&] { check_mesh(text, 4); }), ErrorCode::kUsage) << text;
  }
  EXPECT_EQ(code_of([&] { check_mesh("2x2", 4); }), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace cleave::cli
