// Weights in files beside the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/file.h"

namespace cleave::onnx {

// A file that is opened when it is first read. While it is absent its size is unknown (0).
class LateFile {
 public:
  explicit LateFile(std::filesystem::path path) : path_(std::move(path)) {}

  bool exists() const;
  const std::filesystem::path& path() const { return path_; }
  // Opens the file, once; Error(kInvalid) where that fails. Safe from several threads.
  const ByteSource& open() const;

 private:
  struct State;
  std::filesystem::path path_;
  std::shared_ptr<State> state_ = make_state();
  static std::shared_ptr<State> make_state();
};

// The files that the tensors of one model name.
class ExternalFiles {
 public:
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // The file at `location`, relative to the model's folder. Error(kInvalid) where the path is
  // absolute, has `..` in it, leaves the folder by a link, or is no regular file.
  const LateFile& at(const std::string& location);

 private:
  std::filesystem::path folder_;
  std::map<std::string, LateFile> files_;
};

// The bytes of one tensor's file; its errors name the tensor. Named by the file, so that tensors
// that share bytes have equal identities.
std::shared_ptr<const ByteSource> external_source(LateFile file, std::string tensor);

}  // namespace cleave::onnx
