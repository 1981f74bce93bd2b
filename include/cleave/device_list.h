// DeviceList: the devices that one engine runs on, in the order of their ranks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cleave {

// A device by backend and index, for example cpu:1.
struct DeviceId {
  std::string backend;
  int index = 0;
  std::string text() const { return backend + ":" + std::to_string(index); }
  bool operator==(const DeviceId&) const = default;
};

class DeviceList {
 public:
  static constexpr size_t kMaxDevices = 256;

  // Reads "cpu:0,cpu:1", "cpu:0-3", or plain numbers for CUDA devices: "0,1". Error(kUsage) where
  // the list is empty or malformed, names a device twice, an unknown backend, different backends or
  // more than kMaxDevices. Whether the devices are there is seen when a runtime is made for them.
  static DeviceList parse(std::string_view text);
  // cpu:0 to cpu:(count - 1).
  static DeviceList cpu(int count);
  // Devices 0 to count - 1 of a backend. Error(kUsage) as for `parse`.
  static DeviceList of(std::string_view backend, int count);
  // All CUDA devices of this machine; cpu:0 where there are none, or they cannot be used.
  static DeviceList of_machine();
  // The first of them alone.
  DeviceList first() const { return DeviceList({devices_[0]}); }

  size_t size() const { return devices_.size(); }
  const DeviceId& operator[](size_t rank) const { return devices_[rank]; }
  const std::string& backend() const { return devices_[0].backend; }
  // "cpu:0,cpu:1"
  std::string text() const;
  std::vector<DeviceId>::const_iterator begin() const { return devices_.begin(); }
  std::vector<DeviceId>::const_iterator end() const { return devices_.end(); }
  bool operator==(const DeviceList&) const = default;

 private:
  explicit DeviceList(std::vector<DeviceId> devices);
  std::vector<DeviceId> devices_;  // never empty
};

}  // namespace cleave
