// The timing cache's keys, its file, and how kernels are chosen by it.
#include "backend/timing_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_device.h"
#include "cleave/error.h"

namespace cleave::backend {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class NamedKernel final : public Kernel {
 public:
  explicit NamedKernel(std::string name, std::string refusal = "", bool by_rule = true)
      : name_(std::move(name)), refusal_(std::move(refusal)), by_rule_(by_rule) {}
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return name_; }
  std::optional<std::string> refuses(const KernelProblem&) const override {
    return refusal_.empty() ? std::nullopt : std::optional(refusal_);
  }
  bool is_chosen_by_rule() const override { return by_rule_; }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem&, KernelCache&) const override {
    return nullptr;
  }

 private:
  std::string name_;
  std::string refusal_;
  bool by_rule_;
};

KernelProblem problem_of(const Attributes& attributes) {
  return {.op = "matmul",
          .attributes = attributes,
          .inputs = {TensorView::dense(DType::kFloat32, {4, 8}),
                     TensorView::dense(DType::kFloat32, {8, 6})},
          .outputs = {TensorView::dense(DType::kFloat32, {4, 6})},
          .constant_keys = {0, 5}};
}

DeviceKind kind_of(int threads = 2) { return DeviceKind(*make_cpu_device({.threads = threads})); }

TEST(TimingKey, IsReadable) {
  const Attributes attributes = {{"transpose_b", Dim(1)}};
  const TimingKey key(kind_of(), problem_of(attributes));
  EXPECT_EQ(key.backend, "cpu");
  EXPECT_EQ(key.threads, 2);
  EXPECT_EQ(key.op, "matmul");
  EXPECT_EQ(key.attributes, "{transpose_b=1}");
  EXPECT_EQ(key.inputs, (std::vector<std::string>{"f32[4, 8]", "f32[8, 6] constant"}));
  EXPECT_EQ(key.outputs, (std::vector<std::string>{"f32[4, 6]"}));
  EXPECT_NE(key.device, "");
}

TEST(TimingKey, TellsApartWhatKernelsMayTakeOtherTimesFor) {
  const Attributes none;
  const TimingKey key(kind_of(), problem_of(none));
  EXPECT_EQ(key, TimingKey(kind_of(), problem_of(none)));
  EXPECT_NE(key, TimingKey(kind_of(1), problem_of(none)));
  DeviceKind other = kind_of();
  other.name = "another processor";
  EXPECT_NE(key, TimingKey(other, problem_of(none)));
  const Attributes transposed = {{"transpose_b", Dim(1)}};
  EXPECT_NE(key, TimingKey(kind_of(), problem_of(transposed)));

  KernelProblem activations = problem_of(none);
  activations.constant_keys = {};
  EXPECT_NE(key, TimingKey(kind_of(), activations));
  KernelProblem another = problem_of(none);
  another.op = "copy";
  EXPECT_NE(key, TimingKey(kind_of(), another));
  KernelProblem wider = problem_of(none);
  wider.outputs.push_back(wider.outputs[0]);
  EXPECT_NE(key, TimingKey(kind_of(), wider));
  for (size_t input : {0, 1}) {
    KernelProblem strided{problem_of(none)};
    strided.inputs[input].strides[0] += 1;
    EXPECT_NE(key, TimingKey(kind_of(), strided));
    KernelProblem half{problem_of(none)};
    half.inputs[input].dtype = DType::kFloat16;
    EXPECT_NE(key, TimingKey(kind_of(), half));
  }
}

TEST(TimingKey, IsTheSameForAllRanksAndAllWeights) {
  const Attributes first = {{"rank", Dim(0)}};
  const Attributes second = {{"rank", Dim(1)}};
  KernelProblem other = problem_of(second);
  other.constant_keys = {0, 77};
  EXPECT_EQ(TimingKey(kind_of(), problem_of(first)), TimingKey(kind_of(), other));
}

TimingKey key_named(const std::string& op, int threads = 1) {
  TimingKey key;
  key.backend = "cpu";
  key.device = "a processor";
  key.threads = threads;
  key.op = op;
  key.attributes = "";
  key.inputs = {"f32[4, 8]", "none"};
  key.outputs = {"f32[4, 6]"};
  return key;
}

TimingTable small_table() {
  TimingTable table;
  table.set(key_named("matmul"), {{"matmul.tiled", 46.128}, {"matmul.onednn", 41.25}});
  table.set(key_named("matmul", 2), {{"matmul.tiled", 1234567.5}});
  return table;
}

TEST(TimingTable, KeepsTheFastestFirst) {
  const TimingTable table = small_table();
  EXPECT_EQ(table.size(), 2u);
  ASSERT_NE(table.find(key_named("matmul")), nullptr);
  EXPECT_EQ(*table.find(key_named("matmul")),
            (KernelTimes{{"matmul.onednn", 41.25}, {"matmul.tiled", 46.13}}));
  EXPECT_EQ(table.find(key_named("matmul", 3)), nullptr);
}

TEST(TimingTable, ReadsWhatItWrites) {
  const std::string text = small_table().to_json();
  const TimingTable read = TimingTable::parse(text, "t.json");
  EXPECT_EQ(read.to_json(), text);
  EXPECT_EQ(*read.find(key_named("matmul")), *small_table().find(key_named("matmul")));
}

TEST(TimingTable, KeepsAlgorithmsOfAKernel) {
  const KernelTimes times = {
      {"matmul.cublas", 5, "13 id66"}, {"matmul.cublas", 6, "13 id21"}, {"matmul.plain", 700}};
  TimingTable table;
  table.set(key_named("matmul"), times);
  const TimingTable read = TimingTable::parse(table.to_json(), "t.json");
  EXPECT_EQ(*read.find(key_named("matmul")), times);
  EXPECT_EQ(read.to_json(), table.to_json());
}

TEST(TimingTable, EqualTablesAreEqualText) {
  TimingTable forward;
  TimingTable backward;
  for (int i = 0; i < 20; ++i) {
    forward.set(key_named("op", 1 + i), {{"k", 1.0 + i}});
    backward.set(key_named("op", 20 - i), {{"k", 20.0 - i}});
  }
  EXPECT_EQ(forward.to_json(), backward.to_json());
}

// The message with which it is refused; empty where it is not.
std::string refusal(const std::string& text) {
  try {
    TimingTable::parse(text, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.message(), HasSubstr("t.json is not a timing cache: "));
    EXPECT_FALSE(error.hint().empty());
    return error.message();
  }
  return "";
}

TEST(TimingTable, RefusesWhatIsNone) {
  const std::string valid = small_table().to_json();
  EXPECT_EQ(refusal(valid), "");
  for (const char* text : {"null", "[]", "{}"}) {
    EXPECT_THAT(refusal(text), HasSubstr("'cleave_timing_cache' is missing"));
  }
  for (const char* text : {"", "\xff\xfe", "{\"cleave_timing_cache\""}) {
    EXPECT_THAT(refusal(text), HasSubstr("it is no JSON"));
  }
  EXPECT_NE(refusal(valid.substr(0, valid.size() / 2)), "");
  EXPECT_NE(refusal(std::string(1 << 20, '[')), "");
}

TEST(TimingTable, ChecksEveryField) {
  const json valid = json::parse(small_table().to_json());
  json changed = valid;
  changed["cleave_timing_cache"] = 2;
  EXPECT_THAT(refusal(changed.dump()), HasSubstr("another version"));
  for (const char* key : {"backend", "device", "threads", "op", "attributes", "inputs", "outputs",
                          "kernel", "us", "slower"}) {
    SCOPED_TRACE(key);
    changed = valid;
    changed["entries"][0].erase(key);
    EXPECT_THAT(refusal(changed.dump()), HasSubstr(std::string("'") + key + "' is missing"));
    for (const json& wrong : {json(nullptr), json::object(), json(true), json::array({1})}) {
      changed = valid;
      changed["entries"][0][key] = wrong;
      EXPECT_NE(refusal(changed.dump()), "") << wrong;
    }
  }
  for (const json& wrong : {json(-1), json(1e300), json("41")}) {
    changed = valid;
    changed["entries"][0]["us"] = wrong;
    EXPECT_THAT(refusal(changed.dump()), HasSubstr("'us'")) << wrong;
    changed = valid;
    changed["entries"][0]["slower"][0]["us"] = wrong;
    EXPECT_THAT(refusal(changed.dump()), HasSubstr("'us'")) << wrong;
    changed = valid;
    changed["entries"][0]["threads"] = wrong;
    EXPECT_THAT(refusal(changed.dump()), HasSubstr("'threads'")) << wrong;
  }
  for (const json& wrong : {json(nullptr), json(7), json::array({"id66"})}) {
    changed = valid;
    changed["entries"][0]["algorithm"] = wrong;
    EXPECT_THAT(refusal(changed.dump()), HasSubstr("'algorithm'")) << wrong;
  }
  changed = valid;
  changed["entries"] = "many";
  EXPECT_THAT(refusal(changed.dump()), HasSubstr("'entries' is not a list"));
}

class Choosing : public ::testing::Test {
 protected:
  Choosing() {
    registry_.add(std::make_shared<NamedKernel>("picky", "it takes nothing"));
    registry_.add(std::make_shared<NamedKernel>("first"));
    registry_.add(std::make_shared<NamedKernel>("second"));
  }
  KernelRegistry::Choice choose(const KernelTimes& times) const {
    return registry_.choose(problem_, &times);
  }

  const Attributes attributes_;
  const KernelProblem problem_ = problem_of(attributes_);
  KernelRegistry registry_;
};

TEST_F(Choosing, ByRuleWhereNothingWasTimed) {
  const auto choice = registry_.choose(problem_);
  EXPECT_EQ(choice.kernel->name(), "first");
  EXPECT_TRUE(choice.times.empty());
  EXPECT_EQ(choice.text(), "first (picky: it takes nothing)");
  EXPECT_EQ(choose({}).text(), choice.text());
}

TEST_F(Choosing, TheFastestThatWasTimed) {
  const auto choice = choose({{"second", 41}, {"first", 46.25}});
  EXPECT_EQ(choice.kernel->name(), "second");
  EXPECT_EQ(choice.text(), "second (tuned: 41 us; first 46.25 us)");
}

TEST_F(Choosing, TheFastestAlgorithm) {
  const auto choice = choose({{"second", 41, "b"}, {"second", 42, "a"}, {"first", 46.25}});
  EXPECT_EQ(choice.kernel->name(), "second");
  EXPECT_EQ(choice.algorithm, "b");
  EXPECT_EQ(choice.text(),
            "second algorithm b (tuned: 41 us; second algorithm a 42 us; first 46.25 us)");
}

TEST_F(Choosing, NamesTheFastestOfMany) {
  const auto choice = choose({{"first", 1, "a"},
                              {"first", 2, "b"},
                              {"first", 3, "c"},
                              {"first", 4, "d"},
                              {"first", 5, "e"},
                              {"second", 6}});
  EXPECT_EQ(choice.text(),
            "first algorithm a (tuned: 1 us; first algorithm b 2 us; first "
            "algorithm c 3 us; first algorithm d 4 us; 2 more are slower)");
}

TEST_F(Choosing, ByRuleWhereTheFastestIsGone) {
  const auto choice = choose({{"unknown", 41}, {"second", 46}});
  EXPECT_EQ(choice.kernel->name(), "first");
  EXPECT_TRUE(choice.times.empty());
  EXPECT_EQ(choice.text(),
            "first (unknown: the timing cache names it, but it is not there; picky: it takes "
            "nothing)");
}

TEST_F(Choosing, ByRuleWhereTheFastestRefuses) {
  const auto choice = choose({{"picky", 41}});
  EXPECT_EQ(choice.kernel->name(), "first");
  EXPECT_EQ(choice.text(), "first (picky: the timing cache names it, but it takes nothing)");
}

TEST_F(Choosing, WhatOnlyTimingsChoose) {
  registry_.add_front(std::make_shared<NamedKernel>("rare", "", /*by_rule=*/false));
  EXPECT_EQ(registry_.choose(problem_).text(), "first (picky: it takes nothing)");
  EXPECT_EQ(registry_.takers(problem_).front()->name(), "rare");  // to be timed
  EXPECT_EQ(choose({{"rare", 4}, {"first", 5}}).kernel->name(), "rare");
}

TEST_F(Choosing, TakersAreInOrder) {
  const auto takers = registry_.takers(problem_);
  ASSERT_EQ(takers.size(), 2u);
  EXPECT_EQ(takers[0]->name(), "first");
  EXPECT_EQ(takers[1]->name(), "second");
}

}  // namespace
}  // namespace cleave::backend
