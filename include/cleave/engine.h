// Engine: a network compiled for N devices of one backend; what `cleave build` writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cleave/dtype.h"

namespace cleave {

struct EngineImpl;

// A dimension of an input or output: a number (then all are equal) or an expression of the model's
// dynamic dimensions, with its sizes where those are at their min, opt and max.
struct DimensionInfo {
  std::string text;
  int64_t min = 0;
  int64_t opt = 0;
  int64_t max = 0;
};

struct TensorInfo {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<DimensionInfo> shape;
};

// A tensor of the model, and how it lies over the devices: "replicate" (each holds the whole),
// "shard(1, 384/32)" (dimension 1, dealt out in grains of 32) or "partial(sum)" (each holds a term
// of the sum).
struct LayoutInfo {
  std::string tensor;
  std::string layout;
};

// One instruction of the program, for people.
struct InstructionInfo {
  std::string op;
  std::string name;  // of the model's nodes that it carries out
  std::string text;
  double predicted_us = 0;
  std::vector<LayoutInfo> results;  // none where the engine does not say what they are
};

// A value; copies share the engine, which is never changed. Safe to use from several threads.
class Engine {
 public:
  // Opens an engine file; the weights are read when a runtime needs them, so the file must stay.
  // Error(kInvalid) where it is no engine, damaged, or of another version.
  static Engine load(const std::filesystem::path& path);
  // Reads and verifies every byte of an engine file. Error(kInvalid).
  static void check(const std::filesystem::path& path);
  // Called now and then with the bytes of weights that are written, of how many.
  using SaveProgress = std::function<void(uint64_t done, uint64_t total)>;
  // Writes the engine file, or leaves what was there. Equal engines give equal bytes.
  void save(const std::filesystem::path& path, const SaveProgress& progress = {}) const;

  const std::string& backend() const;
  int64_t devices() const;  // how many it runs on
  size_t profiles() const;
  std::vector<TensorInfo> inputs(size_t profile = 0) const;
  std::vector<TensorInfo> outputs(size_t profile = 0) const;
  std::vector<InstructionInfo> instructions(size_t profile = 0) const;
  // How many instructions of each kind of collective there are.
  std::map<std::string, int64_t> collectives(size_t profile = 0) const;

  std::vector<LayoutInfo> weights() const;
  std::vector<int64_t> weights_bytes() const;  // by device
  // By device: the most memory that running it takes, weights as kernels keep them and all else
  // included. Empty where the engine does not say.
  const std::vector<int64_t>& memory_bytes() const;
  // The largest of all profiles, by device: activations, and what kernels need at most besides.
  int64_t activation_bytes() const;
  int64_t workspace_bytes() const;

  double predicted_us(size_t profile = 0) const;
  double unsplit_us(size_t profile = 0) const;  // predicted, of the model on one of the devices
  const std::string& plan_json() const;         // the plan it was made by
  std::string program_text() const;

  explicit Engine(std::shared_ptr<const EngineImpl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<const EngineImpl>& impl() const { return impl_; }

 private:
  std::shared_ptr<const EngineImpl> impl_;
};

}  // namespace cleave
