#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cleave/device_list.h"
#include "cleave/error.h"
#include "cleave/runtime.h"
#include "cleave/tensor.h"

namespace cleave {
namespace {

using ::testing::HasSubstr;

TEST(DeviceList, ReadsLists) {
  EXPECT_EQ(DeviceList::parse("cpu:0").text(), "cpu:0");
  EXPECT_EQ(DeviceList::parse("cpu:0,cpu:1").size(), 2u);
  EXPECT_EQ(DeviceList::parse("cpu:0-3").text(), "cpu:0,cpu:1,cpu:2,cpu:3");
  EXPECT_EQ(DeviceList::parse(" cpu:2 , cpu:0-1").text(), "cpu:2,cpu:0,cpu:1");
  EXPECT_EQ(DeviceList::parse("cpu:0-1"), DeviceList::cpu(2));
  EXPECT_EQ(DeviceList::cpu(3).backend(), "cpu");
}

TEST(DeviceList, RefusesBadLists) {
  for (const char* text : {"",
                           " ",
                           ",",
                           "cpu:0,",
                           ",cpu:0",
                           "cpu",
                           "cpu:",
                           "cpu:x",
                           "cpu:-1",
                           "cpu:3-1",
                           "cpu:0-",
                           "cpu:0--1",
                           "cpu:0,cpu:0",
                           "cpu:0-2,cpu:1",
                           "tpu:0",
                           "cpu:0,cuda:0",
                           "cpu:0-100000",
                           "cpu:99999999999",
                           "cpu:0-2147483647",
                           "cpu:1.5",
                           "-1",
                           "all"}) {
    try {
      DeviceList::parse(text);
      ADD_FAILURE() << "'" << text << "' was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage) << text;
      EXPECT_FALSE(error.hint().empty());
    }
  }
  EXPECT_THROW(DeviceList::cpu(0), Error);
}

TEST(DeviceList, TakesPlainNumbersForCudaDevices) {
  EXPECT_EQ(DeviceList::parse("0,1").text(), "cuda:0,cuda:1");
  EXPECT_EQ(DeviceList::parse("cuda:0-2").text(), "cuda:0,cuda:1,cuda:2");
}

TEST(Runtime, SaysThatACudaDeviceIsNotThere) {
  try {
    Runtime runtime(DeviceList::parse("cuda:4095"));
    FAIL() << "there were 4,096 GPUs";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDevice) << error.what();
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(Tensor, IsAValue) {
  Tensor a = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  Tensor b = a;
  EXPECT_EQ(a.data(), b.data());  // shared until one is written to
  b.mutable_span<float>()[0] = 9;
  EXPECT_EQ(a.span<float>()[0], 1);
  EXPECT_EQ(b.span<float>()[0], 9);
  EXPECT_EQ(a.type_text(), "f32[2, 2]");
  EXPECT_EQ(Tensor().elements(), 0);
  EXPECT_EQ(Tensor(DType::kInt64, {3, 0}).bytes(), 0u);
  EXPECT_EQ(Tensor(DType::kBool, {}).elements(), 1);
}

TEST(Tensor, ViewsTheCallersMemory) {
  std::vector<int64_t> memory = {1, 2, 3};
  Tensor look = Tensor::view(DType::kInt64, {3}, std::as_bytes(std::span(memory)));
  EXPECT_EQ(static_cast<const void*>(look.data()), memory.data());
  look.mutable_span<int64_t>()[0] = 7;
  EXPECT_EQ(memory[0], 1);
  Tensor reach =
      Tensor::mutable_view(DType::kInt64, {3}, std::as_writable_bytes(std::span(memory)));
  reach.mutable_span<int64_t>()[0] = 7;
  EXPECT_EQ(memory[0], 7);
  EXPECT_THROW(Tensor::view(DType::kInt64, {4}, std::as_bytes(std::span(memory))), Error);
}

TEST(Tensor, ChecksTypesAndSizes) {
  EXPECT_THROW(Tensor(DType::kFloat32, {1}).span<double>(), Error);
  EXPECT_NO_THROW(Tensor(DType::kFloat16, {1}).span<uint16_t>());
  EXPECT_THROW(Tensor(DType::kFloat32, {-1}), Error);
  EXPECT_THROW(Tensor(DType::kFloat32, {1ll << 40, 1ll << 40}), Error);
}

TEST(TensorMap, KeepsOrderAndFindsByName) {
  TensorMap map = {{"b", Tensor(DType::kFloat32, {1})}, {"a", Tensor(DType::kFloat32, {2})}};
  EXPECT_EQ(map.begin()->first, "b");
  EXPECT_EQ(map.at("a").elements(), 2);
  EXPECT_EQ(map.find("c"), nullptr);
  try {
    map.at("c");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("b, a"));
  }
  EXPECT_THROW((TensorMap{{"x", Tensor()}, {"x", Tensor()}}), Error);
}

}  // namespace
}  // namespace cleave
