#include "options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include "base/file.h"
#include "cleave/error.h"
#include "cost/machine_model.h"

namespace cleave::cli {
namespace {

// The only environment variable that Cleave reads.
const char* devices_from_environment() {
  const char* text = std::getenv("CLEAVE_DEVICES");
  return text != nullptr && *text != '\0' ? text : nullptr;
}

std::optional<int> parse_count(std::string_view text) {
  int count = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

NamedShapes parse_one(const char* option, const std::vector<std::string>& texts) {
  if (texts.size() > 1) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{} is given {} times; this version builds for one profile", option,
                            texts.size()),
                "name all inputs in one option, separated by commas, or build several engines");
  }
  return texts.empty() ? NamedShapes() : parse_shapes(option, texts[0]);
}

}  // namespace

CLI::Option* add_repeatable(CLI::App& app, const std::string& name,
                            std::vector<std::string>& values, const std::string& description) {
  return app.add_option(name, values, description)->allow_extra_args(false);
}

void LogOptions::add(CLI::App& app) {
  auto* quiet_flag = app.add_flag("--quiet", quiet, "say nothing but results and errors");
  app.add_flag("--verbose", verbose, "say what is done and why")->excludes(quiet_flag);
}

Verbosity LogOptions::verbosity() const {
  if (quiet) return Verbosity::kQuiet;
  return verbose ? Verbosity::kVerbose : Verbosity::kNormal;
}

void LogOptions::progress(const std::string& line) const {
  if (!quiet) print_error(line);
}

void TuningOptions::add(CLI::App& app) {
  app.add_option("--timingCacheFile", file,
                 "choose kernels by the times in this file, where it exists; --tune writes it")
      ->type_name("FILE");
  app.add_flag("--tune", tune, "time all kernels that could do the work, and choose the fastest");
}

TimingCache TuningOptions::read(const LogSink& log) const {
  if (file.empty()) return {};
  if (tune) FileWriter probe(file);  // leaves nothing behind
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) return TimingCache::load(file);
  if (!tune) {
    log(LogLevel::kWarning,
        "the timing cache " + file + " is not there: kernels are chosen by rule; --tune makes it");
  }
  return {};
}

void TuningOptions::plan_with(TimingCache timings, BuilderConfig& config) const {
  if (tune) config.planned_times = std::make_shared<TimingCache>(std::move(timings));
}

TimingCache TuningOptions::planned(const BuilderConfig& config, TimingCache timings) {
  return config.planned_times ? *config.planned_times : std::move(timings);
}

void TuningOptions::write(const TimingCache& cache) const {
  if (tune && !file.empty()) cache.save(file);
}

void DeviceOptions::add(CLI::App& app) {
  app.add_option("--devices", devices,
                 "the devices, e.g. 0,1 (GPUs) or cpu:0-3 (default: CLEAVE_DEVICES, else all GPUs, "
                 "else cpu:0)")
      ->type_name("LIST");
  app.add_option("--mesh", mesh, "how they are arranged: their number")->type_name("SIZES");
}

DeviceList DeviceOptions::list(const std::optional<DeviceList>& otherwise,
                               const std::string& counted) const {
  const auto parse = [&](const std::string& text) {
    const auto count = counted.empty() ? std::nullopt : parse_count(text);
    return count ? DeviceList::of(counted, *count) : DeviceList::parse(text);
  };
  const char* environment = devices_from_environment();
  const auto chosen = [&] {
    if (!devices.empty()) return parse(devices);
    if (environment == nullptr) {
      if (otherwise) return *otherwise;
      return counted.empty() ? DeviceList::of_machine() : DeviceList::of(counted, 1);
    }
    try {
      return parse(environment);
    } catch (const Error& error) {
      throw Error(error).at("CLEAVE_DEVICES");
    }
  };
  DeviceList result = chosen();
  if (!mesh.empty()) check_mesh(mesh, result.size());
  return result;
}

void BuildOptions::add(CLI::App& app) {
  app.add_option("--machine", machine,
                 "plan for the machine that this file describes (see `cleave measure`); "
                 "--devices=8 then says how many")
      ->type_name("FILE");
  app.add_flag("--fp16", fp16, "allow float16");
  app.add_flag("--bf16", bf16, "allow bfloat16");
  app.add_flag("--tf32", tf32,
               "float32 products may round operands to TF32 (GPUs only; the CPU ignores it)");
  app.add_option("--memory", memory, "what a device may use, e.g. 16GiB")->type_name("SIZE");
  add_shapes(app);
  add_repeatable(app, "--pin", pins, "the strategy that a node must have (repeatable)")
      ->type_name("NODE=STRATEGY");
  app.add_option("--plan", plan, "follow this plan, as `cleave plan --json` wrote it")
      ->type_name("FILE");
  app.add_flag("--randomWeights", random_weights, "weight files that are absent become noise");
  app.add_option("--seed", seed, "what noise and random inputs are made from");
}

void BuildOptions::add_shapes(CLI::App& app) {
  app.add_option("--shapes", shapes, "fixed shapes of inputs")->type_name("NAME:1x128[,...]");
  const char* type = "NAME:1x128[,...]";
  add_repeatable(app, "--minShapes", min_shapes, "smallest shapes")->type_name(type);
  add_repeatable(app, "--optShapes", opt_shapes, "usual shapes")->type_name(type);
  add_repeatable(app, "--maxShapes", max_shapes, "largest shapes")->type_name(type);
}

std::string BuildOptions::machine_backend() const {
  return machine.empty() ? "" : cost::MachineModel::load(machine).backend();
}

NamedShapes BuildOptions::static_shapes() const {
  return shapes.empty() ? NamedShapes() : parse_shapes("--shapes", shapes);
}

std::vector<InputProfile> BuildOptions::profile() const {
  NamedShapes min = parse_one("--minShapes", min_shapes);
  NamedShapes opt = parse_one("--optShapes", opt_shapes);
  NamedShapes max = parse_one("--maxShapes", max_shapes);
  // As trtexec does: what is left out is what stands nearest.
  if (opt.empty()) opt = max.empty() ? min : max;
  if (min.empty()) min = opt;
  if (max.empty()) max = opt;
  std::vector<InputProfile> result;
  for (const auto& [name, sizes] : opt) {
    const auto* smallest = find_shape(min, name);
    const auto* largest = find_shape(max, name);
    if (smallest == nullptr || largest == nullptr) {
      throw Error(ErrorCode::kUsage,
                  "the input '" + name +
                      "' is not in each of --minShapes, --optShapes, "
                      "--maxShapes",
                  "name the same inputs in each");
    }
    result.push_back({name, *smallest, sizes, *largest});
  }
  if (min.size() != opt.size() || max.size() != opt.size()) {
    throw Error(ErrorCode::kUsage,
                "--minShapes, --optShapes and --maxShapes do not name the same inputs",
                "name the same inputs in each");
  }
  return result;
}

int64_t BuildOptions::memory_limit() const {
  return memory.empty() ? 0 : parse_bytes("--memory", memory);
}

BuilderConfig BuildOptions::config(const DeviceList& devices, LogSink log) const {
  BuilderConfig config;
  config.devices = devices;
  if (fp16) config.precision.insert(Precision::kFP16);
  if (bf16) config.precision.insert(Precision::kBF16);
  if (tf32) config.precision.insert(Precision::kTF32);
  config.memory_limit = memory_limit();
  config.machine = machine;
  config.plan = plan;
  for (const std::string& pin : pins) {
    const size_t equals = pin.rfind('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == pin.size()) {
      throw Error(ErrorCode::kUsage, "--pin: '" + pin + "' is not NODE=STRATEGY",
                  "`cleave plan MODEL --explain NODE` lists a node's strategies");
    }
    config.pins.emplace_back(pin.substr(0, equals), pin.substr(equals + 1));
  }
  config.log = std::move(log);
  return config;
}

}  // namespace cleave::cli
