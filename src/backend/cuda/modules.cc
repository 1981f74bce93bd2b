#include "backend/cuda/modules.h"

#include <nvrtc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/overlap.h"
#include "base/hash.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

void nvrtc_check(nvrtcResult result, const char* during) {
  if (result == NVRTC_SUCCESS) return;
  throw Error(ErrorCode::kDevice,
              std::string("NVRTC: ") + nvrtcGetErrorString(result) + " (" + during + ")",
              "see `cleave doctor` for the versions of CUDA's libraries");
}

class Program {
 public:
  explicit Program(const std::string& text) {
    nvrtc_check(nvrtcCreateProgram(&program_, text.c_str(), "cleave.cu", 0, nullptr, nullptr),
                "making a program");
  }
  ~Program() { nvrtcDestroyProgram(&program_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  nvrtcProgram get() const { return program_; }

  std::string log() const {
    size_t size = 0;
    if (nvrtcGetProgramLogSize(program_, &size) != NVRTC_SUCCESS || size == 0) return {};
    std::string text(size, '\0');
    if (nvrtcGetProgramLog(program_, text.data()) != NVRTC_SUCCESS) return {};
    return text;
  }

 private:
  nvrtcProgram program_ = nullptr;
};

std::string architecture(int compute_capability) {
  return "--gpu-architecture=sm_" + std::to_string(compute_capability);
}

// Compiled code on disk: a mark with the hash of what follows, so that a torn file is no code.
struct FileHeader {
  char magic[8];
  uint64_t hash;
};
constexpr char kMagic[8] = {'c', 'l', 'v', 'c', 'u', 'b', '0', '1'};

uint64_t hash_of(const std::vector<char>& code) {
  return hash_bytes(std::string_view(code.data(), code.size()));
}

std::vector<char> read_code(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  FileHeader header;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return {};
  std::vector<char> code((std::istreambuf_iterator<char>(file)), {});
  return hash_of(code) == header.hash ? code : std::vector<char>();
}

// Under another name first: whoever looks finds all of it or nothing. False where it cannot be
// kept.
bool write_code(const std::filesystem::path& path, const std::vector<char>& code) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  const std::filesystem::path temporary = path.string() + "." + std::to_string(::getpid());
  FileHeader header;
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.hash = hash_of(code);
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  file.write(code.data(), static_cast<std::streamsize>(code.size()));
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(temporary, path, failed);
  if (file && !failed) return true;
  std::filesystem::remove(temporary, ignored);
  return false;
}

}  // namespace

std::vector<char> compile_for_gpu(const std::string& source, int compute_capability) {
  const Program program(std::string(device_source("prelude")) + with_waits(source));
  const std::string arch = architecture(compute_capability);
  const char* options[] = {arch.c_str(), "--std=c++17", "--device-int128",
                           "--diag-suppress=177,550"};
  const nvrtcResult result = nvrtcCompileProgram(program.get(), 4, options);
  if (result == NVRTC_ERROR_COMPILATION) {
    throw Error(ErrorCode::kInternal, "generated device code does not compile:\n" + program.log(),
                "this is a bug in Cleave; please report it with the model");
  }
  nvrtc_check(result, "compiling");
  size_t size = 0;
  nvrtc_check(nvrtcGetCUBINSize(program.get(), &size), "reading compiled code");
  std::vector<char> code(size);
  nvrtc_check(nvrtcGetCUBIN(program.get(), code.data()), "reading compiled code");
  return code;
}

std::vector<int> compiled_architectures() {
  int count = 0;
  nvrtc_check(nvrtcGetNumSupportedArchs(&count), "asking for architectures");
  std::vector<int> all(static_cast<size_t>(count));
  nvrtc_check(nvrtcGetSupportedArchs(all.data()), "asking for architectures");
  return all;
}

std::filesystem::path module_cache_folder() {
  if (const char* own = std::getenv("CLEAVE_CACHE_DIR")) return own;
  if (const char* cache = std::getenv("XDG_CACHE_HOME")) {
    return std::filesystem::path(cache) / "cleave";
  }
  if (const char* home = std::getenv("HOME")) {
    return std::filesystem::path(home) / ".cache" / "cleave";
  }
  return {};
}

Modules::Modules(int compute_capability, std::filesystem::path folder, Use use)
    : compute_capability_(compute_capability), folder_(std::move(folder)), use_(use) {}

Modules::~Modules() {
  for (const auto& [source, library] : libraries_) {
    if (library.loaded != nullptr) cudaLibraryUnload(library.loaded);
  }
}

cudaKernel_t Modules::get(const std::string& source, const char* name) {
  const cudaLibrary_t loaded = library(source);
  if (use_ == Use::kKeep) return nullptr;
  cudaKernel_t kernel = nullptr;
  cuda_check(cudaLibraryGetKernel(&kernel, loaded, name), "finding a kernel");
  return kernel;
}

cudaLibrary_t Modules::library(const std::string& source) {
  Library* library = nullptr;
  {
    const std::lock_guard lock(mutex_);
    library = &libraries_[source];
  }
  std::call_once(library->once, [&] { library->loaded = load(source); });
  return library->loaded;
}

cudaLibrary_t Modules::load(const std::string& source) {
  const std::vector<char> compiled = code(source);
  if (use_ == Use::kKeep) return nullptr;
  cudaLibrary_t library = nullptr;
  cuda_check(
      cudaLibraryLoadData(&library, compiled.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
      "loading device code");
  return library;
}

std::vector<char> Modules::code(const std::string& source) {
  if (folder_.empty()) return compile_for_gpu(source, compute_capability_);
  int major = 0;
  int minor = 0;
  nvrtc_check(nvrtcVersion(&major, &minor), "asking for its version");
  uint64_t key = hash_bytes(device_source("prelude"), static_cast<uint64_t>(compute_capability_));
  key = hash_bytes(source, hash_combine(key, static_cast<uint64_t>(major * 1000 + minor)));
  char name[40];
  std::snprintf(name, sizeof name, "%016llx.sm_%d", static_cast<unsigned long long>(key),
                compute_capability_);
  const std::filesystem::path path = folder_ / "cuda" / name;
  std::vector<char> kept = read_code(path);
  if (!kept.empty()) {
    ++found_;
    return kept;
  }
  std::vector<char> compiled = compile_for_gpu(source, compute_capability_);
  ++compiled_;
  // What is to be run is compiled again the next time.
  if (!write_code(path, compiled) && use_ == Use::kKeep) {
    throw Error(ErrorCode::kInvalid, "cannot write " + path.string(),
                "CLEAVE_CACHE_DIR says where device code is kept");
  }
  return compiled;
}

}  // namespace cleave::backend
