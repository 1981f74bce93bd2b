#include "loads.h"

#include <fmt/format.h>

#include "text.h"

namespace cleave::cli {

double gigabytes_per_second(const WeightLoad& load) {
  return load.seconds > 0 ? static_cast<double>(load.bytes) / 1e9 / load.seconds : 0;
}

std::string load_text(const WeightLoad& load) {
  std::string text =
      fmt::format("{} in {} ({:.3g} GB/s)", bytes_text(static_cast<double>(load.bytes)),
                  time_text(load.seconds * 1e6), gigabytes_per_second(load));
  if (load.noise_bytes > 0) {
    text += fmt::format(", {} of it noise", bytes_text(static_cast<double>(load.noise_bytes)));
  }
  return text;
}

Json loads_json(const std::vector<WeightLoad>& loads) {
  Json json = Json::array();
  for (const WeightLoad& load : loads) {
    json.push_back({{"bytes", load.bytes},
                    {"noise_bytes", load.noise_bytes},
                    {"seconds", load.seconds},
                    {"gb_per_s", gigabytes_per_second(load)}});
  }
  return json;
}

}  // namespace cleave::cli
