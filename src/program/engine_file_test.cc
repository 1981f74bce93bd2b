#include "program/engine_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "cleave/error.h"
#include "program/metadata.h"
#include "program/testing.h"
#include "program/validate.h"

namespace cleave::program {
namespace {

using ::testing::HasSubstr;
using testing::TestEngine;

class EngineFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("cleave_engine_file_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }
  // Writes an engine with small chunks and returns its bytes.
  std::string write(const TestEngine& engine, const std::string& name = "e.cleave") const {
    write_engine_file(path(name), engine.data, *engine.weights, {.chunk_bytes = 4096});
    return read_file(path(name));
  }

  std::filesystem::path folder_;
};

std::string read_slice(const WeightSource& source, size_t weight, int64_t rank, size_t bytes) {
  // Backwards: pieces may be read in any order.
  std::string out(bytes, '\0');
  const std::vector<uint64_t> sizes = source.pieces(weight, rank);
  size_t end = bytes;
  for (size_t piece = sizes.size(); piece-- > 0;) {
    end -= sizes[piece];
    source.read(weight, rank, piece,
                std::as_writable_bytes(std::span(out)).subspan(end, sizes[piece]));
  }
  EXPECT_EQ(end, 0u);
  return out;
}

TestEngine three_weights() {
  TestEngine engine = testing::linear_engine(2, 64, 50, false);
  const std::vector<float> shared(777, 1.5f);
  engine.add_weight("shared", {{777}, {777}}, {shared, shared});
  engine.add_weight("empty_on_0", {{0, 3}, {5, 3}}, {{}, std::vector<float>(15, 2)});
  engine.lay_out();
  return engine;
}

// Error(kInvalid) with a message and a hint; anything else fails the test.
template <class F>
void expect_invalid(F&& f, const std::string& what) {
  try {
    f();
    ADD_FAILURE() << what << ": no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid) << what << ": " << error.what();
    EXPECT_FALSE(error.hint().empty()) << what << ": " << error.what();
  }
}

TEST_F(EngineFileTest, RoundTrip) {
  const TestEngine engine = three_weights();
  write(engine);
  const OpenEngine opened = open_engine_file(path("e.cleave"));
  EXPECT_EQ(opened.data, engine.data);
  for (size_t w = 0; w < engine.data.weights.size(); ++w) {
    for (int64_t r = 0; r < 2; ++r) {
      const std::string& expected = engine.weights->bytes[w][static_cast<size_t>(r)];
      EXPECT_EQ(read_slice(*opened.weights, w, r, expected.size()), expected);
      std::string streamed;
      opened.weights->stream(w, r, [&](std::span<const std::byte> piece) {
        streamed.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      });
      EXPECT_EQ(streamed, expected);
    }
  }
  check_engine_file(path("e.cleave"));
}

TEST_F(EngineFileTest, EqualEnginesHaveEqualBytes) {
  const std::string a = write(three_weights(), "a");
  const std::string b = write(three_weights(), "b");
  EXPECT_EQ(a, b);
  // Saving what was read gives the same file again.
  const OpenEngine opened = open_engine_file(path("a"));
  write_engine_file(path("c"), opened.data, *opened.weights, {.chunk_bytes = 4096});
  EXPECT_EQ(read_file(path("c")), a);
}

// Noise is said, not stored: its slices have sizes and no bytes.
TEST_F(EngineFileTest, NoiseHasNoBytes) {
  TestEngine engine = three_weights();
  const uint64_t before = weights_end(engine.data);
  const uint32_t added = engine.add_weight("noise", {{1 << 20}, {3}}, {{}, {}});
  Weight& noise = engine.data.weights[added];
  noise.noise = {{{DType::kFloat32}, {{{0}, {1 << 20}, 7, 0.5, 100, {1}}}},
                 {{DType::kFloat16, DType::kFloat32}, {{{0}, {3}, ~uint64_t{0}, 0.25, 5, {2}}}}};
  engine.lay_out();
  EXPECT_EQ(weights_end(engine.data), before);
  EXPECT_EQ(noise.slices, (std::vector<WeightSlice>{{0, 4 << 20}, {0, 12}}));
  EXPECT_EQ(weight_bytes_by_rank(engine.data)[0], 64 * 25 * 4 + 777 * 4 + (4 << 20));
  write(engine);
  const OpenEngine opened = open_engine_file(path("e.cleave"));
  EXPECT_EQ(opened.data, engine.data);
  check_engine_file(path("e.cleave"));
}

TEST_F(EngineFileTest, RanksThatHoldTheSameShareItsBytes) {
  const TestEngine engine = three_weights();
  const Weight& shared = engine.data.weights[1];
  EXPECT_EQ(shared.slices[0], shared.slices[1]);
  const uint64_t own = 64 * 50 * 4;  // W, cut between the ranks
  const uint64_t end = weights_end(engine.data);
  EXPECT_GE(end, own + 777 * 4 + 15 * 4);
  EXPECT_LE(end, own + 777 * 4 + 15 * 4 + 3 * kShareAlignment);
  EXPECT_EQ(weight_bytes_by_rank(engine.data),
            (std::vector<int64_t>{64 * 25 * 4 + 777 * 4, 64 * 25 * 4 + 777 * 4 + 60}));
}

// 1,000 single bytes, each byte of the header among them, and the ends of all parts.
TEST_F(EngineFileTest, AnyChangedByteIsFound) {
  const std::string whole = write(three_weights());
  ASSERT_NO_THROW(check_engine(memory_source("whole", whole)));
  std::mt19937_64 random(1);
  for (size_t trial = 0; trial < 1200; ++trial) {
    size_t at = random() % whole.size();
    if (trial < 128) at = trial;
    if (trial >= 128 && trial < 136) at = whole.size() - 1 - (trial - 128);
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(1 + random() % 255));
    expect_invalid([&] { check_engine(memory_source("changed", changed)); },
                   "byte " + std::to_string(at));
  }
}

TEST_F(EngineFileTest, AnyTruncationIsFound) {
  const std::string whole = write(three_weights());
  std::mt19937_64 random(2);
  for (size_t trial = 0; trial < 1000; ++trial) {
    const size_t size = trial < 200 ? trial : random() % whole.size();
    expect_invalid([&] { check_engine(memory_source("short", whole.substr(0, size))); },
                   "cut to " + std::to_string(size));
  }
  expect_invalid([&] { check_engine(memory_source("long", whole + '\0')); }, "a byte more");
}

TEST_F(EngineFileTest, AFileThatShrinksWhileOpenIsAnError) {
  const std::string whole = write(three_weights());
  const OpenEngine opened = open_engine_file(path("e.cleave"));
  std::filesystem::resize_file(path("e.cleave"), whole.size() / 2);
  expect_invalid([&] { opened.weights->verify_unread(0, 1); }, "shrunk");
}

TEST_F(EngineFileTest, SaysWhatIsWrong) {
  const std::string whole = write(three_weights());
  const auto message_of = [&](std::string bytes) {
    try {
      open_engine(memory_source("e.cleave", std::move(bytes)));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message_of(""), HasSubstr("not a Cleave engine"));
  EXPECT_THAT(message_of("ONNX, for example"), HasSubstr("not a Cleave engine"));
  EXPECT_THAT(message_of(whole.substr(0, 5000)), HasSubstr("5000 bytes"));
  std::string version = whole;
  version[8] = 77;
  EXPECT_THAT(message_of(version), AllOf(HasSubstr("version 77"), HasSubstr("version 1"),
                                         HasSubstr("build the engine again")));
  expect_invalid([&] { open_engine_file(path("absent")); }, "absent");
}

TEST_F(EngineFileTest, AFailedWriteLeavesNothing) {
  class Failing final : public WeightSource {
   public:
    std::vector<uint64_t> pieces(size_t, int64_t) const override { return {100, 100}; }
    void read(size_t, int64_t, size_t piece, std::span<std::byte>) const override {
      if (piece == 1) throw Error(ErrorCode::kInvalid, "the model's file ends");
    }
  };
  const TestEngine engine = three_weights();
  EXPECT_THROW(write_engine_file(path("f"), engine.data, Failing()), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_THROW(write_engine_file(path("no/such/folder"), engine.data, *engine.weights), Error);
}

TEST(Metadata, HoldsEverything) {
  TestEngine engine = three_weights();
  EngineData& data = engine.data;
  Program& program = data.programs[0];
  program.guards = {{Dim::symbol("batch") * 2, floor_div(Dim::symbol("batch"), 3), "add 7"}};
  program.predicted_us = 1.25;
  program.unsplit_us = 2.5;
  program.workspace_bytes = 99;
  Instruction& instruction = program.segments[0].instructions[0];
  instruction.predicted_us = 0.1;
  instruction.inputs.push_back({});
  instruction.attributes.set("scale", 0.1);
  instruction.attributes.set("mode", "a \"b\"\n");
  instruction.attributes.set("to", DType::kBFloat16);
  instruction.attributes.set("texts", std::vector<std::string>{"x", ""});
  instruction.name = "not UTF-8: \xff";
  const TensorType whole = {DType::kFloat16, {Dim::symbol("batch"), 24}};
  const layout::Cut cut({{16, 4, 1}, {8, 2, 3}});
  instruction.tensors = {{"shared\xff", whole, layout::Placement::shard(1, cut)},
                         {"term", whole, layout::Placement::partial(ReduceOp::kMax)},
                         {"whole", whole, layout::Placement::replicate()}};
  data.weights[0].placement = layout::Placement::shard(0, layout::Cut::even(6));
  data.memory_bytes = {1, int64_t{1} << 40};
  const std::string bytes = encode_metadata(data);
  EXPECT_EQ(decode_metadata(bytes), data);
  EXPECT_EQ(encode_metadata(decode_metadata(bytes)), bytes);
}

// Damaged metadata whose checksum is right (a hostile file) ends with an error or a valid engine.
TEST(Metadata, HostileBytesAreErrors) {
  const std::string whole = encode_metadata(three_weights().data);
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string changed = whole;
    for (uint64_t i = 0; i < 1 + random() % 4; ++i) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    try {
      validate(decode_metadata(changed), 1 << 20);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid) << error.what();
    }
  }
}

}  // namespace
}  // namespace cleave::program
