#include "safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "cleave/error.h"
#include "types/dtype.h"

namespace cleave::cli {
namespace {

using Json = nlohmann::ordered_json;

// The format's own limit on the header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr int kMaxDepth = 4;
constexpr size_t kMaxRank = 64;

constexpr std::array<std::pair<const char*, DType>, 13> kTypes = {{{"F32", DType::kFloat32},
                                                                   {"F16", DType::kFloat16},
                                                                   {"BF16", DType::kBFloat16},
                                                                   {"F64", DType::kFloat64},
                                                                   {"I8", DType::kInt8},
                                                                   {"I16", DType::kInt16},
                                                                   {"I32", DType::kInt32},
                                                                   {"I64", DType::kInt64},
                                                                   {"U8", DType::kUInt8},
                                                                   {"U16", DType::kUInt16},
                                                                   {"U32", DType::kUInt32},
                                                                   {"U64", DType::kUInt64},
                                                                   {"BOOL", DType::kBool}}};

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "not a sound safetensors file: " + what,
              "write the file again, for example with safetensors.numpy.save_file");
}

struct Entry {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // from the end of the header
  uint64_t end = 0;
};

DType type_of(const Json& value, const std::string& name) {
  if (value.is_string()) {
    for (const auto& [text, type] : kTypes) {
      if (value.get_ref<const std::string&>() == text) return type;
    }
  }
  fail("the element type of '" + name + "' is not known");
}

// The bytes that the tensor takes, at most `limit`.
uint64_t byte_count(const Entry& entry, uint64_t limit) {
  uint64_t bytes = size_of(entry.dtype);
  // From the smallest extent on, so that a zero is met before an overflow.
  std::vector<int64_t> sorted = entry.shape;
  std::sort(sorted.begin(), sorted.end());
  for (const int64_t extent : sorted) {
    const auto factor = static_cast<uint64_t>(extent);
    if (bytes != 0 && factor > limit / bytes) fail("'" + entry.name + "' is larger than the file");
    bytes *= factor;
  }
  return bytes;
}

Entry parse_entry(const std::string& name, const Json& value, uint64_t data_bytes) {
  const auto require = [&](bool sound) {
    if (!sound) fail("the entry '" + name + "' is malformed");
  };
  require(value.is_object() && value.contains("dtype") && value.contains("shape") &&
          value.contains("data_offsets"));
  Entry entry{name, type_of(value["dtype"], name), {}, 0, 0};
  const Json& shape = value["shape"];
  require(shape.is_array() && shape.size() <= kMaxRank);
  for (const Json& extent : shape) {
    require(extent.is_number_unsigned() && extent.get<uint64_t>() <= uint64_t{1} << 62);
    entry.shape.push_back(extent.get<int64_t>());
  }
  const Json& offsets = value["data_offsets"];
  require(offsets.is_array() && offsets.size() == 2 && offsets[0].is_number_unsigned() &&
          offsets[1].is_number_unsigned());
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) {
    fail("the data of '" + name + "' lies outside the file");
  }
  if (byte_count(entry, data_bytes) != entry.end - entry.begin) {
    fail("the data of '" + name + "' has another size than its shape");
  }
  return entry;
}

Json parse_header(const std::string& text) {
  const auto limit_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) fail("its header is nested too deeply");
    return true;
  };
  const Json header = Json::parse(text, limit_depth, /*allow_exceptions=*/false);
  if (!header.is_object()) fail("its header is no JSON object");
  return header;
}

// The entries, in the file's order; they fill it without gap or overlap.
std::vector<Entry> parse_entries(const Json& header, uint64_t data_bytes) {
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") entries.push_back(parse_entry(name, value, data_bytes));
  }
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const Entry& entry : entries) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  uint64_t end = 0;
  for (const auto& range : ranges) {
    if (range.first != end) fail("its tensors overlap or leave gaps");
    end = range.second;
  }
  if (end != data_bytes) fail("there is more in it than its tensors");
  return entries;
}

TensorMap read_all(const ByteSource& file) {
  std::array<unsigned char, 8> size = {};
  if (file.size() < size.size()) fail("it is too short");
  file.read(0, std::as_writable_bytes(std::span(size)));
  uint64_t header_bytes = 0;
  for (size_t i = size.size(); i-- > 0;) header_bytes = header_bytes << 8 | size[i];
  if (header_bytes > file.size() - size.size()) fail("its header is longer than the file");
  if (header_bytes > kMaxHeaderBytes) fail("its header is too long");
  std::string text(header_bytes, '\0');
  file.read(size.size(), std::as_writable_bytes(std::span(text)));
  const uint64_t start = size.size() + header_bytes;
  TensorMap tensors;
  for (const Entry& entry : parse_entries(parse_header(text), file.size() - start)) {
    Tensor tensor = Tensor::uninitialized(entry.dtype, entry.shape);
    const std::span bytes(tensor.mutable_data(), tensor.bytes());
    file.read(start + entry.begin, bytes);
    if (entry.dtype == DType::kBool) {
      for (std::byte& byte : bytes) byte = std::byte{byte != std::byte{0}};
    }
    tensors.set(entry.name, std::move(tensor));
  }
  return tensors;
}

const char* name_of_type(DType type) {
  for (const auto& [text, known] : kTypes) {
    if (known == type) return text;
  }
  return "";
}

}  // namespace

TensorMap read_safetensors(const std::filesystem::path& path) {
  const auto file = open_file(path);
  try {
    return read_all(*file);
  } catch (const Error& error) {
    throw Error(error).at(path.string());
  }
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors) {
  std::vector<const TensorMap::Entry*> order;
  for (const TensorMap::Entry& entry : tensors) order.push_back(&entry);
  // Larger elements first keep every tensor aligned.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  Json header = Json::object();
  uint64_t end = 0;
  for (const auto* entry : order) {
    const uint64_t begin = end;
    end += entry->second.bytes();
    header[entry->first] = {{"dtype", name_of_type(entry->second.dtype())},
                            {"shape", entry->second.shape()},
                            {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::array<std::byte, 8> size = {};
  for (size_t i = 0; i < size.size(); ++i) size[i] = std::byte(text.size() >> (8 * i) & 0xff);
  FileWriter file(path);
  file.append(size);
  file.append(std::as_bytes(std::span(text)));
  for (const auto* entry : order) file.append({entry->second.data(), entry->second.bytes()});
  file.commit();
}

}  // namespace cleave::cli
