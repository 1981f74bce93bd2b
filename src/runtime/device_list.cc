#include "cleave/device_list.h"

#include <algorithm>
#include <charconv>

#include "cleave/error.h"
#include "runtime/backends.h"

namespace cleave {
namespace {

[[noreturn]] void bad_list(std::string_view text, const std::string& what) {
  throw Error(ErrorCode::kUsage, "the device list '" + std::string(text) + "' is wrong: " + what,
              "write for example cpu:0,cpu:1 or cpu:0-3");
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// One item of a list: "cpu:0", "cpu:0-3", "1".
class Item {
 public:
  Item(std::string_view list, std::string_view text) : list_(list), text_(text) {}

  void append_to(std::vector<DeviceId>& devices) const {
    if (text_.empty()) bad_list(list_, "it names no device between two commas");
    const size_t colon = text_.find(':');
    const std::string backend(colon == std::string_view::npos ? "cuda" : text_.substr(0, colon));
    const std::string_view range =
        colon == std::string_view::npos ? text_ : text_.substr(colon + 1);
    if (backend != "cpu" && backend != "cuda") {
      bad_list(list_, "there is no backend '" + backend + "'");
    }
    const size_t dash = range.find('-', 1);
    const int first = number(range.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : number(range.substr(dash + 1));
    if (last < first) bad_list(list_, "the range '" + std::string(range) + "' goes backwards");
    if (static_cast<size_t>(last - first) >= DeviceList::kMaxDevices) too_many();
    for (int index = first; index <= last; ++index) devices.push_back({backend, index});
    if (devices.size() > DeviceList::kMaxDevices) too_many();
  }

 private:
  int number(std::string_view digits) const {
    int value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec != std::errc() || result.ptr != digits.data() + digits.size() || value < 0) {
      bad_list(list_, "'" + std::string(digits) + "' is not the number of a device");
    }
    return value;
  }
  [[noreturn]] void too_many() const {
    bad_list(list_, "there may be at most " + std::to_string(DeviceList::kMaxDevices) + " devices");
  }

  std::string_view list_;
  std::string_view text_;
};

}  // namespace

DeviceList::DeviceList(std::vector<DeviceId> devices) : devices_(std::move(devices)) {}

DeviceList DeviceList::parse(std::string_view text) {
  if (trimmed(text).empty()) bad_list(text, "it is empty");
  std::vector<DeviceId> devices;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    Item(text, trimmed(rest.substr(0, comma))).append_to(devices);
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
  }
  for (auto it = devices.begin(); it != devices.end(); ++it) {
    if (std::find(devices.begin(), it, *it) != it) {
      bad_list(text, it->text() + " comes twice");
    }
    if (it->backend != devices[0].backend) bad_list(text, "it mixes backends");
  }
  return DeviceList(std::move(devices));
}

DeviceList DeviceList::cpu(int count) {
  if (count < 1 || static_cast<size_t>(count) > kMaxDevices) {
    throw Error(ErrorCode::kUsage, std::to_string(count) + " is not a number of devices",
                "take 1 to " + std::to_string(kMaxDevices));
  }
  std::vector<DeviceId> devices;
  for (int index = 0; index < count; ++index) devices.push_back({"cpu", index});
  return DeviceList(std::move(devices));
}

DeviceList DeviceList::of(std::string_view backend, int count) {
  if (count < 1) return cpu(count);  // says what is wrong
  return parse(std::string(backend) + ":0-" + std::to_string(count - 1));
}

DeviceList DeviceList::of_machine() {
  const int gpus = std::min<int>(runtime::cuda_device_count(), kMaxDevices);
  return gpus > 0 ? of("cuda", gpus) : cpu(1);
}

std::string DeviceList::text() const {
  std::string out;
  for (const DeviceId& device : devices_) out += (out.empty() ? "" : ",") + device.text();
  return out;
}

}  // namespace cleave
