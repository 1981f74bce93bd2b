#include "onnx/external_file.h"

#include <mutex>
#include <utility>

#include "cleave/error.h"
#include "onnx/quote.h"

namespace cleave::onnx {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlaceHint =
    "weights must lie in the model's folder or below it, named by a relative path";

class ExternalSource final : public ByteSource {
 public:
  ExternalSource(LateFile file, std::string tensor)
      : file_(std::move(file)), tensor_(std::move(tensor)), name_(file_.path().string()) {}

  uint64_t size() const override { return file_.exists() ? file_.open().size() : 0; }
  const std::string& name() const override { return name_; }
  void read(uint64_t offset, std::span<std::byte> into) const override {
    try {
      if (!file_.exists()) {
        throw Error(ErrorCode::kInvalid, "the weight file " + name_ + " does not exist",
                    "put it beside the model, or pass --randomWeights to measure without it");
      }
      file_.open().read(offset, into);
    } catch (Error& error) {
      throw error.at("tensor " + quote(tensor_));
    }
  }

 private:
  LateFile file_;
  std::string tensor_;
  std::string name_;
};

bool is_inside(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

struct LateFile::State {
  std::mutex mutex;
  std::shared_ptr<const ByteSource> source;
};

std::shared_ptr<LateFile::State> LateFile::make_state() { return std::make_shared<State>(); }

bool LateFile::exists() const {
  std::error_code ignored;
  return fs::exists(path_, ignored);
}

const ByteSource& LateFile::open() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->source == nullptr) state_->source = open_file(path_);
  return *state_->source;
}

const LateFile& ExternalFiles::at(const std::string& location) {
  if (const auto it = files_.find(location); it != files_.end()) return it->second;
  const fs::path relative(location);
  const auto refuse = [&](const std::string& why) {
    return Error(ErrorCode::kInvalid, "the weight file " + quote(location) + " " + why, kPlaceHint);
  };
  if (location.empty() || location.find('\0') != std::string::npos) throw refuse("has no name");
  if (relative.is_absolute()) throw refuse("is named by an absolute path");
  for (const fs::path& part : relative) {
    if (part == "..") throw refuse("is named by a path with '..'");
  }
  std::error_code failed;
  const fs::path folder = fs::weakly_canonical(folder_, failed);
  const fs::path path = failed ? fs::path() : fs::weakly_canonical(folder / relative, failed);
  if (failed) throw refuse("cannot be found: " + failed.message());
  if (!is_inside(path, folder)) throw refuse("leaves the model's folder by a link");
  if (fs::exists(path, failed) && !fs::is_regular_file(path, failed)) {
    throw refuse("is not a regular file");
  }
  return files_.emplace(location, LateFile(path)).first->second;
}

std::shared_ptr<const ByteSource> external_source(LateFile file, std::string tensor) {
  return std::make_shared<ExternalSource>(std::move(file), std::move(tensor));
}

}  // namespace cleave::onnx
