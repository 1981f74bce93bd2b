// cleave doctor: what was found on this machine, and what is missing.
#include <fmt/format.h>
#include <google/protobuf/stubs/common.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <sstream>

#include "base/cpu_info.h"
#include "base/wait_word.h"
#include "command.h"
#include "options.h"
#include "runtime/backends.h"
#include "text.h"
#ifdef CLEAVE_HAVE_ONEDNN
#include <dnnl.h>
#endif

namespace cleave::cli {
namespace {

// The instruction sets that make matrix products fast, of those that the processor has.
std::string instruction_sets() {
  constexpr std::array kWanted = {
      "sse4_2",      "avx",         "avx2",        "fma",      "f16c",     "avx512f", "avx512bw",
      "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd",   "sve"};
  std::istringstream words(cpu_info("flags") + " " + cpu_info("Features"));
  std::vector<std::string> flags;
  for (std::string word; words >> word;) flags.push_back(word);
  std::vector<std::string> found;
  for (const char* wanted : kWanted) {
    if (std::find(flags.begin(), flags.end(), wanted) != flags.end()) found.emplace_back(wanted);
  }
  return list_text(found);
}

void print_row(const char* what, const std::string& value) {
  print(fmt::format("{:<14}{}\n", what, value));
}

void print_machine() {
  utsname system = {};
  if (uname(&system) == 0) {
    print_row("system", fmt::format("{} {}, {}", system.sysname, system.release, system.machine));
  }
  const std::string name = cpu_info("model name");
  print_row("cpu", name.empty() ? "unknown model" : name);
  print_row("cores", fmt::format("{} may be used, of {} online", available_cores(),
                                 sysconf(_SC_NPROCESSORS_ONLN)));
  print_row("instructions", instruction_sets());
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  print_row(
      "memory",
      fmt::format("{}, {} free", bytes_text(page * static_cast<double>(sysconf(_SC_PHYS_PAGES))),
                  bytes_text(page * static_cast<double>(sysconf(_SC_AVPHYS_PAGES)))));
}

void print_libraries() {
#ifdef CLEAVE_HAVE_ONEDNN
  const dnnl_version_t* version = dnnl_version();
  print_row("oneDNN", fmt::format("{}.{}.{}: matmul.onednn uses it, where --tune finds it faster",
                                  version->major, version->minor, version->patch));
#else
  print_row("oneDNN", "not used: matrix products have the built-in kernels alone");
#endif
  print_row("protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION));
}

void print_devices(const DeviceOptions& options) {
  const DeviceList devices = options.list();
  const int threads = std::max(1, available_cores() / static_cast<int>(devices.size()));
  const std::string each =
      devices.backend() == "cpu" ? fmt::format(", {} thread(s) each", threads) : "";
  print_row("devices", devices.text() + each);
  print_row("", "any number of virtual CPU devices can be had: --devices=cpu:0-3");
}

void print_cuda() {
  try {
    const auto cuda = runtime::find_backend("cuda");
    for (const auto& [what, finding] : cuda->findings()) print_row(what.c_str(), finding);
    if (cuda->device_count() == 0) print_row("cuda", "no GPU can be used");
  } catch (const Error& error) {
    print_row("cuda", "missing: " + error.message());
    print_row("", error.hint());
  }
}

void run(const DeviceOptions& options) {
  print_row("cleave", CLEAVE_VERSION);
  print_machine();
  print_libraries();
  print_cuda();
  print_devices(options);
}

}  // namespace

Action add_doctor(CLI::App& app) {
  auto options = std::make_shared<DeviceOptions>();
  options->add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
