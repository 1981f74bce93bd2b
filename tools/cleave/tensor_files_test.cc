#include "tensor_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <random>

#include "cleave/error.h"

namespace cleave::cli {
namespace {

namespace fs = std::filesystem;

class TensorFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("cleave-" + std::to_string(::getpid()) + "-" + test->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string place(const std::string& name) const { return (folder_ / name).string(); }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return place(name);
  }
  std::string bytes_of(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static TensorMap read(const std::string& place) {
    return read_tensors({place}, TensorRole::kInput, [] {
      return std::vector<std::string>{"first", "second"};
    });
  }
  // The code of the error that reading ends with, whose text names the file; none where it works.
  static std::optional<ErrorCode> failure(const std::string& place) {
    try {
      read(place);
    } catch (const Error& error) {
      const std::string path = place.substr(place.find('=') + 1);
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
      return error.code();
    }
    return std::nullopt;
  }

  fs::path folder_;
};

// A tensor of `count` distinct bytes for each element type.
TensorMap all_types() {
  TensorMap tensors;
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    Tensor tensor(static_cast<DType>(type), {2, 3});
    for (size_t i = 0; i < tensor.bytes(); ++i) {
      const bool is_bool = tensor.dtype() == DType::kBool;
      tensor.mutable_data()[i] = std::byte(is_bool ? i % 2 : i);
    }
    tensors.set("t" + std::to_string(type), std::move(tensor));
  }
  tensors.set("scalar", Tensor::of<float>({}, std::vector<float>{7}));
  tensors.set("empty \"quoted\" \n", Tensor(DType::kInt64, {3, 0}));
  return tensors;
}

void expect_equal(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.type_text(), b.type_text());
  ASSERT_EQ(a.bytes(), b.bytes());
  EXPECT_TRUE(a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0);
}

// Length, header, data.
std::string safetensors(const std::string& header, size_t data_bytes) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + std::string(data_bytes, 'x');
}

TEST_F(TensorFiles, SafetensorsKeepEveryType) {
  const TensorMap tensors = all_types();
  write_tensors({place("a.safetensors")}, TensorRole::kInput, tensors);
  const TensorMap got = read(place("a.safetensors"));
  ASSERT_EQ(got.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) expect_equal(got.at(name), tensor);
}

TEST_F(TensorFiles, OnnxFoldersKeepEveryType) {
  const TensorMap tensors = all_types();
  write_tensors({place("test_data_set_0")}, TensorRole::kInput, tensors);
  const TensorMap got = read(place("test_data_set_0"));
  ASSERT_EQ(got.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) expect_equal(got.at(name), tensor);
}

TEST_F(TensorFiles, NumpyKeepsEveryTypeThatItHas) {
  for (const auto& [name, tensor] : all_types()) {
    if (tensor.dtype() == DType::kBFloat16) continue;
    const std::string path = "x=" + place("a.npy");
    write_tensors({path}, TensorRole::kInput, {{"x", tensor}});
    expect_equal(read(path).at("x"), tensor);
  }
}

TEST_F(TensorFiles, NamelessOnnxTensorsGetTheModelsNames) {
  fs::create_directories(folder_ / "set");
  const std::string tensor = std::string("\x08\x02\x10\x01\x4a\x08", 6) + std::string(8, '\0');
  write("set/input_0.pb", tensor);
  write("set/input_1.pb", tensor);
  const TensorMap got = read(place("set"));
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got.at("second").type_text(), "f32[2]");
}

TEST_F(TensorFiles, BadSafetensorsAreRefused) {
  const auto entry = [](const char* type, const char* shape, const char* offsets) {
    return std::string(R"("dtype":")") + type + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets;
  };
  const std::string sound = R"({"x":{)" + entry("F32", "[2]", "[0,8]") + "}}";
  ASSERT_EQ(failure(write("sound.safetensors", safetensors(sound, 8))), std::nullopt);
  const std::vector<std::pair<std::string, size_t>> bad = {
      {sound, 7},
      {sound, 9},
      {R"({"x":{)" + entry("F32", "[3]", "[0,8]") + "}}", 8},
      {R"({"x":{)" + entry("F31", "[2]", "[0,8]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[-2]", "[0,8]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[2.0]", "[0,8]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "2", "[0,8]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[2]", "[8,0]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[2]", "[0,8,8]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[4294967296,4294967296]", "[0,8]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[2]", "[18446744073709551608,0]") + "}}", 8},
      {R"({"x":{)" + entry("F32", "[2]", "[0,8]") + R"(},"y":{)" + entry("F32", "[2]", "[0,8]") +
           "}}",
       8},
      {R"({"x":{)" + entry("F32", "[2]", "[8,16]") + "}}", 16},
      {R"({"x":7})", 0},
      {"[]", 0},
      {"{", 0},
      {std::string(5'000'000, '['), 0}};
  for (const auto& [header, data] : bad) {
    const std::string path = write("bad.safetensors", safetensors(header, data));
    EXPECT_EQ(failure(path), ErrorCode::kInvalid) << header.substr(0, 200);
  }
}

TEST_F(TensorFiles, BadNumpyFilesAreRefused) {
  const auto npy = [](const std::string& header, size_t data_bytes) {
    std::string bytes = "\x93NUMPY";
    bytes += {'\x01', '\x00', static_cast<char>(header.size()), '\x00'};
    return bytes + header + std::string(data_bytes, 'x');
  };
  const auto code = [&](const std::string& header, size_t data_bytes) {
    return failure("x=" + write("a.npy", npy(header, data_bytes)));
  };
  EXPECT_EQ(code("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8), std::nullopt);
  EXPECT_EQ(code("{'shape': (2, 1), 'fortran_order': False, 'descr': '<f4', }  \n", 8),
            std::nullopt);
  for (const char* header : {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
                             "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}",
                             "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
                             "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}"}) {
    EXPECT_EQ(code(header, 8), ErrorCode::kUnsupported) << header;
  }
  for (const char* header :
       {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2}", "{'descr': '<f4', 'shape': (2,)}",
        "{'descr': '<f4", "{'descr': '', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} or 1", "{'a': {'a': {'a': 1}}}",
        "",
        "{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(4611686018427387904, 4611686018427387904)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': "
        "(9223372036854775807,)}"}) {
    EXPECT_EQ(code(header, 8), ErrorCode::kInvalid) << header;
  }
}

// Changed and cut files are read or refused, never anything else.
TEST_F(TensorFiles, DamagedFilesNeverCrash) {
  write_tensors({place("a.safetensors"), place("test_data_set_0")}, TensorRole::kInput,
                {{"x", Tensor::of<float>({2, 2}, std::vector<float>{1, 2, 3, 4})}});
  write_tensors({"x=" + place("a.npy")}, TensorRole::kInput, {{"x", Tensor(DType::kBool, {3})}});
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"a.safetensors", place("a.safetensors")},
      {"a.npy", "x=" + place("a.npy")},
      {"test_data_set_0/input_0.pb", place("test_data_set_0")}};
  std::mt19937 random(1);
  for (const auto& [file, where] : kinds) {
    const std::string sound = bytes_of(file);
    for (int trial = 0; trial < 300; ++trial) {
      std::string damaged = sound;
      const size_t at = random() % damaged.size();
      if (trial % 3 == 0) {
        damaged.resize(at);
      } else {
        damaged[at] = static_cast<char>(random());
      }
      write(file, damaged);
      const auto code = failure(where);
      EXPECT_TRUE(!code || *code == ErrorCode::kInvalid || *code == ErrorCode::kUnsupported);
    }
  }
}

TEST_F(TensorFiles, PlacesOfNoFormAreWrongUsage) {
  for (const char* text : {"x.npy", "tensors.bin", "=a.npy", "", "x=a.txt"}) {
    EXPECT_THROW(check_places({text}), Error) << text;
  }
}

}  // namespace
}  // namespace cleave::cli
