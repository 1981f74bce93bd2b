// Files that are no models, damaged ones, and weights inside and beside the model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_model.h"
#include "onnx/wire.h"

namespace cleave::onnx {
namespace {

using ::onnx::TensorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Error load_error(const std::string& bytes) {
  const TestFolder folder;
  const auto path = folder.write("model.onnx", bytes);
  return error_of([&] { load(path, {}, ops::Registry::builtin()); });
}

TestModel sum_with(const TensorProto& weight) {
  TestModel model;
  model.input("x", {2}).output("y");
  *model.graph().add_initializer() = weight;
  model.node("Add", {"x", weight.name()}, {"y"});
  return model;
}

// A matrix product whose weight is larger than what is parsed.
TestModel product_with(const HostTensor& weight) {
  TestModel model;
  model.input("x", {"rows", 64}).output("y").initializer("w", weight);
  model.node("MatMul", {"x", "w"}, {"y"});
  return model;
}

HostTensor counting(std::vector<int64_t> shape) {
  HostTensor tensor(DType::kFloat32, std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, static_cast<double>(i % 7) - 3);
  return tensor;
}

TEST(Files, NoModel) {
  EXPECT_THAT(load_error("").message(), HasSubstr("is empty"));
  for (const std::string bytes : {"hello, world", "PK\x03\x04zip", "{\"json\": 1}",
                                  "\x7f"
                                  "ELF",
                                  "\x89PNG\r\n", "\x80\x02pickle"}) {
    const Error error = load_error(bytes);
    EXPECT_THAT(error.message(), HasSubstr("is not an ONNX model")) << bytes;
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  }
  EXPECT_THAT(load_error(std::string("\x08\x07", 2)).message(), HasSubstr("holds no graph"));
  EXPECT_THAT(error_of([] { load("/nowhere/model.onnx", {}, ops::Registry::builtin()); }).message(),
              HasSubstr("cannot open"));
}

TEST(Files, CutShortAtEveryByte) {
  const std::string bytes = product_with(counting({64, 8})).bytes();
  int cut = 0;
  for (size_t size = 1; size < bytes.size(); size += 1 + size / 64) {
    // A cut between two fields of the model leaves a model without what follows.
    const Error error = load_error(bytes.substr(0, size));
    EXPECT_EQ(error.code(), ErrorCode::kInvalid) << size;
    if (error.message().find("cut short") != std::string::npos) ++cut;
  }
  EXPECT_GT(cut, 50);
}

TEST(Files, EveryByteDamaged) {
  const std::string bytes = product_with(counting({64, 8})).bytes();
  const TestFolder folder;
  const ops::Registry registry = ops::Registry::builtin();
  int refused = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 200 && i + 200 < bytes.size() && i % 97 != 0) continue;
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        load(folder.write("model.onnx", damaged), {}, registry);
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == ErrorCode::kInvalid || error.code() == ErrorCode::kUnsupported)
            << i << ": " << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(Files, NestingIsLimited) {
  ::onnx::GraphProto inner;
  inner.set_name("innermost");
  for (int i = 0; i < 40; ++i) {
    ::onnx::GraphProto outer;
    auto* attribute = outer.add_node()->add_attribute();
    attribute->set_name("body");
    *attribute->mutable_g() = std::move(inner);
    inner = std::move(outer);
  }
  TestModel model;
  *model.proto().mutable_graph() = std::move(inner);
  EXPECT_THAT(load_error(model.bytes()).message(), HasSubstr("nests its parts"));
}

TEST(Files, LargePayloadsStayInTheFile) {
  const HostTensor weight = counting({64, 300});
  const std::string bytes = product_with(weight).bytes();
  const std::string stripped = strip(*memory_source("m", bytes));
  EXPECT_GT(bytes.size(), 70000u);
  EXPECT_LT(stripped.size(), 300u);

  const TestFolder folder;
  const ir::Graph graph = load(folder.write("model.onnx", bytes), {}, ops::Registry::builtin());
  const ir::RecipePtr constant = graph.value(*graph.find_value("w")).constant;
  EXPECT_EQ(constant->value(), nullptr) << "a large weight was read at import";
  EXPECT_EQ(constant->read_all(), weight);
}

// The weight is a hole in the file: it takes no room, and reading it gives zeros.
TEST(Files, LargerThan2GiB) {
  constexpr int64_t kRows = 65536;
  constexpr int64_t kColumns = 9000;
  TestModel model;
  model.input("x", {"rows", static_cast<int>(kRows)}).output("y");
  model.node("MatMul", {"x", "w"}, {"y"});
  const auto varint = [](uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
    bytes.push_back(static_cast<char>(value));
    return bytes;
  };
  TensorProto tensor;
  tensor.set_name("w");
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.add_dims(kRows);
  tensor.add_dims(kColumns);
  const uint64_t bytes = uint64_t{kRows} * kColumns * 4;
  // Protobuf joins the graph's parts: the second holds the initializer, raw_data last.
  const std::string raw = tensor.SerializeAsString() + "\x4a" + varint(bytes);
  const std::string initializer = "\x2a" + varint(raw.size() + bytes) + raw;
  const std::string graph = "\x3a" + varint(initializer.size() + bytes) + initializer;
  const TestFolder folder;
  const auto path = folder.write("model.onnx", model.bytes() + graph);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + bytes);
  const ir::Graph result = load(path, {}, ops::Registry::builtin());
  const ir::RecipePtr constant = result.value(*result.find_value("w")).constant;
  EXPECT_GT(constant->bytes(), int64_t{1} << 31);
  std::vector<float> last(2, 1);
  constant->read({{kRows - 1, kColumns - 2}, {1, 2}}, std::as_writable_bytes(std::span(last)));
  EXPECT_THAT(last, ElementsAre(0, 0));
}

// Typed fields that lie in the file as raw data does are not parsed either.
TEST(Files, PackedFloatsStayInTheFile) {
  TensorProto tensor;
  tensor.set_name("w");
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.add_dims(20000);
  for (int i = 0; i < 20000; ++i) tensor.add_float_data(static_cast<float>(i));
  TestModel model;
  model.input("x", {20000}).output("y");
  *model.graph().add_initializer() = tensor;
  model.node("Add", {"x", "w"}, {"y"});
  EXPECT_LT(strip(*memory_source("m", model.bytes())).size(), 300u);
  const auto y = model.run({HostTensor(DType::kFloat32, {20000})});
  EXPECT_EQ(y[0].get(19999), 19999);
}

TEST(Weights, TypedFields) {
  const auto value_of = [](TensorProto tensor) {
    tensor.set_name("w");
    TestModel model;
    model.output("y");
    *model.graph().add_initializer() = tensor;
    model.node("Identity", {"w"}, {"y"});
    return values_of(model.run({})[0]);
  };
  TensorProto tensor;
  tensor.add_dims(2);
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.add_float_data(1.5f);
  tensor.add_float_data(-2);
  EXPECT_THAT(value_of(tensor), ElementsAre(1.5, -2));

  tensor.clear_float_data();
  tensor.add_double_data(0.25);
  tensor.add_double_data(4);
  tensor.set_data_type(TensorProto::DOUBLE);
  EXPECT_THAT(value_of(tensor), ElementsAre(0.25, 4));

  tensor.clear_double_data();
  tensor.add_int64_data(-5);
  tensor.add_int64_data(1);
  tensor.set_data_type(TensorProto::INT64);
  EXPECT_THAT(value_of(tensor), ElementsAre(-5, 1));

  tensor.clear_int64_data();
  tensor.add_uint64_data(7);
  tensor.add_uint64_data(4000000000u);
  tensor.set_data_type(TensorProto::UINT32);
  EXPECT_THAT(value_of(tensor), ElementsAre(7, 4e9));

  tensor.clear_uint64_data();
  tensor.add_int32_data(0x3c00);  // 1 as a half
  tensor.add_int32_data(0xc000);  // -2
  tensor.set_data_type(TensorProto::FLOAT16);
  EXPECT_THAT(value_of(tensor), ElementsAre(1, -2));
  tensor.set_data_type(TensorProto::UINT16);
  EXPECT_THAT(value_of(tensor), ElementsAre(0x3c00, 0xc000));

  tensor.set_int32_data(0, 0x3f80);  // 1 as a bfloat16
  tensor.set_data_type(TensorProto::BFLOAT16);
  EXPECT_THAT(value_of(tensor), ElementsAre(1, -2.0 * 1));

  tensor.set_int32_data(0, 0);
  tensor.set_int32_data(1, 2);
  tensor.set_data_type(TensorProto::BOOL);
  EXPECT_THAT(value_of(tensor), ElementsAre(0, 1));
  tensor.set_data_type(TensorProto::INT8);
  EXPECT_THAT(value_of(tensor), ElementsAre(0, 2));
}

TEST(Weights, ThatDoNotFit) {
  TensorProto tensor;
  tensor.set_name("w");
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.add_dims(2);
  EXPECT_THAT(load_error(sum_with(tensor).bytes()).message(), HasSubstr("holds 0 values"));
  tensor.set_raw_data("123");
  Error error = load_error(sum_with(tensor).bytes());
  EXPECT_THAT(error.message(), HasSubstr("holds 3 bytes where f32[2] takes 8"));
  EXPECT_THAT(error.places(), ::testing::Contains("tensor 'w'"));
  tensor.set_dims(0, -2);
  EXPECT_THAT(load_error(sum_with(tensor).bytes()).message(), HasSubstr("negative"));
  tensor.set_dims(0, int64_t{1} << 62);
  tensor.add_dims(int64_t{1} << 62);
  EXPECT_THAT(load_error(sum_with(tensor).bytes()).message(), HasSubstr("overflows"));
  tensor.add_dims(0);  // does not hide the overflow
  EXPECT_THAT(load_error(sum_with(tensor).bytes()).message(), HasSubstr("overflows"));
  tensor.clear_dims();
  tensor.add_dims(2);
  tensor.set_data_type(77);
  EXPECT_THAT(load_error(sum_with(tensor).bytes()).message(), HasSubstr("unknown element type"));
  tensor.set_data_type(TensorProto::INT8);
  tensor.clear_raw_data();
  tensor.add_int32_data(1);
  tensor.add_int32_data(300);
  EXPECT_THAT(load_error(sum_with(tensor).bytes()).message(), HasSubstr("300 does not fit"));
  tensor.mutable_segment()->set_begin(1);
  EXPECT_EQ(load_error(sum_with(tensor).bytes()).code(), ErrorCode::kUnsupported);
}

class ExternalWeights : public ::testing::Test {
 protected:
  // y = x + w with w's two floats in a file.
  TestModel model_with(const std::string& location, const std::string& offset = "",
                       const std::string& length = "") {
    TensorProto tensor;
    tensor.set_name("w");
    tensor.set_data_type(TensorProto::FLOAT);
    tensor.add_dims(2);
    tensor.set_data_location(TensorProto::EXTERNAL);
    for (const auto& [key, value] : {std::pair<std::string, std::string>{"location", location},
                                     {"offset", offset},
                                     {"length", length}}) {
      if (value.empty()) continue;
      auto* entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return sum_with(tensor);
  }
  ir::Graph load_model(const TestModel& model, const ImportOptions& options = {}) {
    return load(folder_.write("model.onnx", model.bytes()), options, registry_);
  }
  Error refusal(const TestModel& model) {
    return error_of([&] { load_model(model); });
  }
  std::string two_floats() const {
    const HostTensor value = floats({2}, {10, 20});
    return std::string(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
  }

  TestFolder folder_;
  ops::Registry registry_ = ops::Registry::builtin();
};

TEST_F(ExternalWeights, AreRead) {
  folder_.write("w.bin", "12345678" + two_floats());
  const ir::Graph graph = load_model(model_with("w.bin", "8", "8"));
  EXPECT_THAT(values_of(ops::interpret(graph, registry_, {floats({2}, {1, 2})})[0]),
              ElementsAre(11, 22));
}

TEST_F(ExternalWeights, AbsentFilesFailOnlyWhenRead) {
  const ir::Graph graph = load_model(model_with("w.bin"));
  const Error error = error_of([&] { ops::interpret(graph, registry_, {floats({2}, {1, 2})}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  EXPECT_THAT(error.what(), HasSubstr("w.bin does not exist"));
  EXPECT_THAT(error.what(), HasSubstr("tensor 'w'"));
  // The file may come later.
  folder_.write("w.bin", two_floats());
  EXPECT_THAT(values_of(ops::interpret(graph, registry_, {floats({2}, {1, 2})})[0]),
              ElementsAre(11, 22));
}

TEST_F(ExternalWeights, AbsentFilesBecomeNoise) {
  ImportOptions options;
  options.random_weights = true;
  options.seed = 5;
  const auto noise = [&] {
    const ir::Graph graph = load_model(model_with("w.bin"), options);
    return values_of(ops::interpret(graph, registry_, {floats({2}, {0, 0})})[0]);
  };
  const auto first = noise();
  EXPECT_NE(first[0], first[1]);
  EXPECT_EQ(noise(), first);
  options.seed = 6;
  EXPECT_NE(noise(), first);
}

TEST_F(ExternalWeights, FilesThatAreTooShort) {
  folder_.write("w.bin", "1234567");
  const Error error = refusal(model_with("w.bin"));
  EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  EXPECT_THAT(error.message(), HasSubstr("which has 7 bytes"));
  EXPECT_THAT(refusal(model_with("w.bin", "18446744073709551615")).message(),
              HasSubstr("out of range"));
  EXPECT_THAT(refusal(model_with("w.bin", "-1")).message(), HasSubstr("no size"));
  EXPECT_THAT(refusal(model_with("w.bin", "0", "9")).message(), HasSubstr("holds 9 bytes"));
}

TEST_F(ExternalWeights, PathsThatLeaveTheFolder) {
  EXPECT_THAT(refusal(model_with("/etc/passwd")).message(), HasSubstr("absolute path"));
  EXPECT_THAT(refusal(model_with("a/../../w.bin")).message(), HasSubstr("'..'"));
  EXPECT_THAT(refusal(model_with(".")).message(), HasSubstr("not a regular file"));
  std::filesystem::create_symlink("/etc", folder_.path() / "link");
  EXPECT_THAT(refusal(model_with("link/passwd")).message(), HasSubstr("by a link"));
  std::filesystem::create_directory(folder_.path() / "inside");
  folder_.write("inside/w.bin", two_floats());
  load_model(model_with("inside/w.bin"));
}

// Tensors of the same bytes are one constant.
TEST_F(ExternalWeights, SharedBytesHaveOneIdentity) {
  folder_.write("w.bin", std::string(80000, '\1'));
  TensorProto tensor;
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.add_dims(20000);
  tensor.set_data_location(TensorProto::EXTERNAL);
  auto* entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value("w.bin");
  TestModel model;
  model.output("y");
  for (const char* name : {"a", "b"}) {
    tensor.set_name(name);
    *model.graph().add_initializer() = tensor;
  }
  model.node("Add", {"a", "b"}, {"y"});
  const ir::Graph graph = load_model(model);
  EXPECT_EQ(graph.value(*graph.find_value("a")).constant->identity(),
            graph.value(*graph.find_value("b")).constant->identity());
}

}  // namespace
}  // namespace cleave::onnx
