#include "npy.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/file.h"
#include "cleave/error.h"
#include "types/dtype.h"

namespace cleave::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kMaxHeaderBytes = 1 << 16;
constexpr size_t kMaxRank = 64;

constexpr std::array<std::pair<std::string_view, DType>, 12> kTypes = {{{"f4", DType::kFloat32},
                                                                        {"f2", DType::kFloat16},
                                                                        {"f8", DType::kFloat64},
                                                                        {"i1", DType::kInt8},
                                                                        {"i2", DType::kInt16},
                                                                        {"i4", DType::kInt32},
                                                                        {"i8", DType::kInt64},
                                                                        {"u1", DType::kUInt8},
                                                                        {"u2", DType::kUInt16},
                                                                        {"u4", DType::kUInt32},
                                                                        {"u8", DType::kUInt64},
                                                                        {"b1", DType::kBool}}};

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "not a sound .npy file: " + what,
              "write the file again with numpy.save");
}

// What stands in the header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
struct Header {
  std::string type;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Reads a header; a Python literal of this one form.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  Header parse() {
    Header header;
    bool type = false;
    bool order = false;
    bool shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !std::exchange(type, true)) {
        header.type = descr();
      } else if (key == "fortran_order" && !std::exchange(order, true)) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !std::exchange(shape, true)) {
        header.shape = tuple();
      } else {
        fail("its header has the key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!type || !order || !shape || !rest_.empty()) fail("its header is malformed");
    return header;
  }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool accept(char wanted) {
    skip_space();
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(fmt::format("its header lacks a '{}'", wanted));
  }
  std::string quoted() {
    skip_space();
    const char quote = rest_.starts_with('"') ? '"' : '\'';
    expect(quote);
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) fail("its header is cut short");
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::string descr() {
    skip_space();
    if (rest_.starts_with('[')) {
      throw Error(ErrorCode::kUnsupported, "the .npy file holds records",
                  "save a plain array for each field");
    }
    return quoted();
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return word == "True";
    }
    fail("its header is malformed");
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> values;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t value = 0;
      const auto [end, failed] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (failed != std::errc() || value < 0 || values.size() == kMaxRank) {
        fail("its shape is malformed");
      }
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      values.push_back(value);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  std::string_view rest_;
};

DType type_of(const std::string& descr) {
  const auto unsupported = [&](const std::string& hint) {
    throw Error(ErrorCode::kUnsupported, "the .npy file's elements are of type '" + descr + "'",
                hint);
  };
  if (descr.empty()) fail("its header names no element type");
  const std::string_view code = std::string_view(descr).substr(1);
  if (descr[0] == '>' && code != "u1" && code != "i1") {
    unsupported("convert it: array.astype(array.dtype.newbyteorder('<'))");
  }
  for (const auto& [text, type] : kTypes) {
    if (code == text) return type;
  }
  unsupported("save an array of numbers; objects are not read");
  return DType::kFloat32;
}

// Reads the header's text and where the data begins.
std::pair<std::string, uint64_t> read_header(const ByteSource& file) {
  std::array<char, 12> start = {};
  if (file.size() < start.size()) fail("it is too short");
  file.read(0, std::as_writable_bytes(std::span(start)));
  if (std::string_view(start.data(), kMagic.size()) != kMagic) fail("it does not begin as one");
  const int version = start[6];
  if (version < 1 || version > 3) fail("its version is not known");
  const size_t length_bytes = version == 1 ? 2 : 4;
  uint64_t length = 0;
  for (size_t i = length_bytes; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(start[8 + i]);
  }
  const uint64_t begin = 8 + length_bytes;
  if (length > kMaxHeaderBytes || length > file.size() - begin) fail("its header is too long");
  std::string text(length, '\0');
  file.read(begin, std::as_writable_bytes(std::span(text)));
  return {std::move(text), begin + length};
}

Tensor read_all(const ByteSource& file) {
  const auto [text, begin] = read_header(file);
  const Header header = HeaderParser(text).parse();
  const DType type = type_of(header.type);
  if (header.fortran_order && header.shape.size() > 1) {
    throw Error(ErrorCode::kUnsupported, "the .npy file's array is in Fortran's order",
                "save numpy.ascontiguousarray(array)");
  }
  // Checked before memory is taken.
  const uint64_t held = (file.size() - begin) / size_of(type);
  uint64_t elements = 1;
  for (const int64_t extent : header.shape) {
    if (extent != 0 && elements > held / static_cast<uint64_t>(extent) + 1) {
      fail("its array is larger than the file");
    }
    elements *= static_cast<uint64_t>(extent);
  }
  if (elements * size_of(type) != file.size() - begin) {
    fail("its array has another size than the file");
  }
  Tensor tensor = Tensor::uninitialized(type, header.shape);
  const std::span bytes(tensor.mutable_data(), tensor.bytes());
  file.read(begin, bytes);
  if (type == DType::kBool) {
    for (std::byte& byte : bytes) byte = std::byte{byte != std::byte{0}};
  }
  return tensor;
}

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  const auto file = open_file(path);
  try {
    return read_all(*file);
  } catch (const Error& error) {
    throw Error(error).at(path.string());
  }
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  std::string_view code;
  for (const auto& [text, type] : kTypes) {
    if (type == tensor.dtype()) code = text;
  }
  if (code.empty()) {
    throw Error(ErrorCode::kUnsupported, ".npy files cannot hold bfloat16",
                "write FILE.safetensors")
        .at(path.string());
  }
  std::string shape;
  for (const int64_t extent : tensor.shape()) shape += fmt::format("{}, ", extent);
  const char order = size_of(tensor.dtype()) == 1 ? '|' : '<';
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   order, code, shape);
  // The data begins at a multiple of 64; the header ends with a newline.
  const size_t begin = (10 + header.size() + 1 + 63) / 64 * 64;
  header.resize(begin - 11, ' ');
  header += '\n';
  std::string start(kMagic);
  start += {'\x01', '\x00', static_cast<char>(header.size() & 0xff),
            static_cast<char>(header.size() >> 8)};
  start += header;
  FileWriter file(path);
  file.append(std::as_bytes(std::span(start)));
  file.append({tensor.data(), tensor.bytes()});
  file.commit();
}

}  // namespace cleave::cli
