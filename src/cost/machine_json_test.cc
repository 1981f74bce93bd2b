// Machine models as JSON: what is written is read, and what is no model is refused by the key.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cleave/error.h"
#include "cost/machine_model.h"

namespace cleave::cost {
namespace {

using nlohmann::json;

json valid() { return json::parse(MachineModel::builtin().to_json()); }

// The message with which it is refused; empty where it is not.
std::string refusal(const std::string& text) {
  try {
    MachineModel::parse(text, "m.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_FALSE(error.hint().empty());
    return error.message();
  }
  return "";
}

TEST(MachineJson, SaysWhatDevicesItIsOf) {
  EXPECT_EQ(MachineModel::parse(valid().dump(), "m.json").backend(), "cpu");
  json other = valid();
  other["backend"] = "cuda";
  const MachineModel gpus = MachineModel::parse(other.dump(), "m.json");
  EXPECT_EQ(gpus.backend(), "cuda");
  EXPECT_EQ(MachineModel::parse(gpus.to_json(), "m.json").backend(), "cuda");
  other["backend"] = "abacus";
  EXPECT_THROW(MachineModel::parse(other.dump(), "m.json"), Error);
  other.erase("backend");
  EXPECT_EQ(MachineModel::parse(other.dump(), "m.json").backend(), "cpu");
}

TEST(MachineJson, ReadsWhatItWrites) {
  const std::string text = MachineModel::builtin().to_json();
  EXPECT_EQ(MachineModel::parse(text, "m.json").to_json(), text);
}

TEST(MachineJson, KeepsEveryFigure) {
  MachineModel model;
  model.set_name("mine");
  model.set_cores(6);
  DeviceModel device;
  device.threads = 3;
  device.devices = 2;
  device.launch_us = 0.125;
  device.products.push_back({{2, 3, 5, 7, false}, DType::kFloat16, 1.0 / 3});
  device.ops.push_back({"softmax", 11, 13, 17.5, 64});
  device.collectives.push_back({"all_gather", 2, 19, 23.25});
  model.devices().push_back(device);
  const MachineModel read = MachineModel::parse(model.to_json(), "m.json");
  EXPECT_EQ(read.name(), "mine");
  EXPECT_EQ(read.cores(), 6);
  const DeviceModel& back = read.devices().at(0);
  EXPECT_EQ(back.threads, 3);
  EXPECT_EQ(back.launch_us, 0.125);
  EXPECT_EQ(back.products.at(0).us, 1.0 / 3);
  EXPECT_EQ(back.products.at(0).product.batch, 2);
  EXPECT_FALSE(back.products.at(0).product.packed);
  EXPECT_EQ(back.products.at(0).dtype, DType::kFloat16);
  EXPECT_EQ(back.ops.at(0).flops, 13);
  EXPECT_EQ(back.ops.at(0).width, 64);
  EXPECT_EQ(back.collectives.at(0).op, "all_gather");
}

TEST(MachineJson, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "null", "[]", "3", "\"x\"", "{}", "\xff\xfe", "{\"a\":nan}"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
  EXPECT_NE(refusal(std::string(200000, '[')), "");
}

TEST(MachineJson, NamesEveryMissingKey) {
  const json model = valid();
  for (const auto& [key, value] : model.items()) {
    if (key == "backend") continue;  // files without one are of CPUs
    json without = model;
    without.erase(key);
    EXPECT_NE(refusal(without.dump()).find("'" + key + "'"), std::string::npos) << key;
  }
  for (const auto& [key, value] : model["devices"][0].items()) {
    json without = model;
    without["devices"][0].erase(key);
    EXPECT_NE(refusal(without.dump()).find("'" + key + "'"), std::string::npos) << key;
  }
  for (const char* list : {"products", "ops", "collectives"}) {
    for (const auto& [key, value] : model["devices"][0][list][0].items()) {
      json without = model;
      without["devices"][0][list][0].erase(key);
      EXPECT_NE(refusal(without.dump()).find("'" + key + "'"), std::string::npos) << key;
    }
  }
}

TEST(MachineJson, RefusesValuesOfAnotherKind) {
  const json wrong[] = {nullptr, -1, "text", json::array({1}), json::object(), true, 1e300, "NaN"};
  const json model = valid();
  for (const auto& [key, value] : model["devices"][0].items()) {
    for (const json& bad : wrong) {
      if (bad.type() == value.type()) continue;
      if (bad.is_number() && value.is_number() && bad.get<double>() >= 0 && bad != 1e300) continue;
      json changed = model;
      changed["devices"][0][key] = bad;
      EXPECT_NE(refusal(changed.dump()).find("'"), std::string::npos) << key << bad;
    }
  }
}

TEST(MachineJson, RefusesFiguresOutOfRange) {
  const auto with = [](const char* list, const char* key, const json& value) {
    json model = valid();
    model["devices"][0][list][0][key] = value;
    return refusal(model.dump());
  };
  EXPECT_NE(with("products", "us", 0), "");
  EXPECT_NE(with("products", "us", -3), "");
  EXPECT_NE(with("products", "m", 0), "");
  EXPECT_NE(with("products", "m", 1.5), "");
  EXPECT_NE(with("products", "k", 1e15), "");
  EXPECT_NE(with("products", "type", "f31"), "");
  EXPECT_NE(with("ops", "bytes", 0), "");
  EXPECT_NE(with("ops", "flops", -1), "");
  EXPECT_NE(with("ops", "us", 1e300), "");
  EXPECT_NE(with("collectives", "ranks", 0), "");
  EXPECT_NE(with("collectives", "us", -1), "");
  EXPECT_EQ(with("collectives", "us", 1), "");
  json model = valid();
  model["devices"] = json::array();
  EXPECT_NE(refusal(model.dump()), "");
  model = valid();
  model["cleave_machine"] = 99;
  EXPECT_NE(refusal(model.dump()).find("version"), std::string::npos);
}

}  // namespace
}  // namespace cleave::cost
