// The machine model as JSON.
#include "base/file.h"
#include "base/json_reader.h"
#include "cost/machine_model.h"
#include "types/dtype.h"

namespace cleave::cost {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kVersion = 1;

ordered_json to_object(const DeviceModel& device) {
  ordered_json out;
  out["threads"] = device.threads;
  out["devices"] = device.devices;
  out["launch_us"] = device.launch_us;
  out["read_bytes_per_us"] = device.read_bytes_per_us;
  out["cache_bytes_per_us"] = device.cache_bytes_per_us;
  out["cache_bytes"] = device.cache_bytes;
  out["scalar_flops_per_us"] = device.scalar_flops_per_us;
  out["products"] = ordered_json::array();
  for (const ProductPoint& point : device.products) {
    out["products"].push_back({{"op", point.op},
                               {"type", name_of(point.dtype)},
                               {"packed", point.product.packed},
                               {"batch", point.product.batch},
                               {"m", point.product.m},
                               {"n", point.product.n},
                               {"k", point.product.k},
                               {"us", point.us}});
  }
  out["ops"] = ordered_json::array();
  for (const OpPoint& point : device.ops) {
    out["ops"].push_back({{"op", point.op},
                          {"bytes", point.bytes},
                          {"flops", point.flops},
                          {"width", point.width},
                          {"us", point.us}});
  }
  out["collectives"] = ordered_json::array();
  for (const CollectivePoint& point : device.collectives) {
    out["collectives"].push_back(
        {{"op", point.op}, {"ranks", point.ranks}, {"bytes", point.bytes}, {"us", point.us}});
  }
  return out;
}

DeviceModel device_of(const JsonReader& reader, const json& in) {
  const auto positive = [&](const json& object, const char* key) {
    return reader.number(object, key, 1e-9);
  };
  DeviceModel device;
  device.threads = reader.count(in, "threads");
  device.devices = reader.count(in, "devices");
  device.launch_us = reader.number(in, "launch_us", 0);
  device.read_bytes_per_us = positive(in, "read_bytes_per_us");
  device.cache_bytes_per_us = positive(in, "cache_bytes_per_us");
  device.cache_bytes = reader.number(in, "cache_bytes", 0);
  device.scalar_flops_per_us = positive(in, "scalar_flops_per_us");
  for (const json& point : reader.list(in, "products")) {
    const auto type = parse_dtype(reader.text(point, "type"));
    if (!type) reader.fail("'type' is no element type");
    device.products.push_back(
        {{reader.count(point, "batch"), reader.count(point, "m"), reader.count(point, "n"),
          reader.count(point, "k"), reader.flag(point, "packed")},
         *type,
         positive(point, "us"),
         reader.text(point, "op")});
  }
  for (const json& point : reader.list(in, "ops")) {
    device.ops.push_back({reader.text(point, "op"), positive(point, "bytes"),
                          reader.number(point, "flops", 0), positive(point, "us"),
                          reader.count(point, "width", 0)});
  }
  for (const json& point : reader.list(in, "collectives")) {
    device.collectives.push_back({reader.text(point, "op"), reader.count(point, "ranks"),
                                  reader.number(point, "bytes", 0), positive(point, "us")});
  }
  return device;
}

}  // namespace

std::string MachineModel::to_json() const {
  ordered_json out;
  out["cleave_machine"] = kVersion;
  out["name"] = name_;
  out["backend"] = backend_;
  out["cores"] = cores_;
  out["devices"] = ordered_json::array();
  for (const DeviceModel& device : devices_) out["devices"].push_back(to_object(device));
  return out.dump(1) + "\n";
}

MachineModel MachineModel::parse(std::string_view text, const std::string& name) {
  const JsonReader reader(name + " is not a machine model",
                          "make one with `cleave measure -o MACHINE.json`");
  const json in = reader.parse(text);
  if (reader.count(in, "cleave_machine") != kVersion) reader.fail("it is of another version");
  MachineModel model;
  model.name_ = reader.text(in, "name");
  model.backend_ = in.contains("backend") ? reader.text(in, "backend") : "cpu";
  if (model.backend_ != "cpu" && model.backend_ != "cuda") {
    reader.fail("'backend' is neither cpu nor cuda");
  }
  model.cores_ = reader.count(in, "cores");
  for (const json& device : reader.list(in, "devices")) {
    model.devices_.push_back(device_of(reader, device));
  }
  if (model.devices_.empty()) reader.fail("'devices' is empty");
  return model;
}

MachineModel MachineModel::load(const std::filesystem::path& path) {
  return parse(read_file(path, 64 << 20), path.string());
}

}  // namespace cleave::cost
