#include "cleave/engine.h"

#include <algorithm>

#include "base/check.h"
#include "program/engine_file.h"
#include "program/text.h"
#include "program/validate.h"
#include "program/weight_layout.h"
#include "runtime/engine_impl.h"

namespace cleave {
namespace {

using program::Binding;
using program::Program;

const Program& program_of(const EngineImpl& impl, size_t profile) {
  if (profile >= impl.data.programs.size()) {
    throw Error(ErrorCode::kInvalid, "there is no profile " + std::to_string(profile) +
                                         ", the engine has " +
                                         std::to_string(impl.data.programs.size()));
  }
  return impl.data.programs[profile];
}

std::vector<TensorInfo> describe(const std::vector<Binding>& bindings, const Program& program) {
  const SymbolValues min = values_of(program.symbols, &program::Symbol::min);
  const SymbolValues opt = values_of(program.symbols, &program::Symbol::opt);
  const SymbolValues max = values_of(program.symbols, &program::Symbol::max);
  std::vector<TensorInfo> infos;
  for (const Binding& binding : bindings) {
    TensorInfo& info = infos.emplace_back();
    info.name = binding.name;
    info.dtype = binding.type.dtype;
    for (const Dim& dim : binding.type.shape) {
      info.shape.push_back({dim.text(), dim.evaluate(min), dim.evaluate(opt), dim.evaluate(max)});
    }
  }
  return infos;
}

}  // namespace

Engine make_engine(program::EngineData data, std::shared_ptr<const program::WeightSource> weights) {
  program::validate(data, program::weights_end(data));
  return Engine(std::make_shared<EngineImpl>(EngineImpl{std::move(data), std::move(weights)}));
}

Engine Engine::load(const std::filesystem::path& path) {
  program::OpenEngine opened = program::open_engine_file(path);
  return Engine(
      std::make_shared<EngineImpl>(EngineImpl{std::move(opened.data), std::move(opened.weights)}));
}

void Engine::check(const std::filesystem::path& path) { program::check_engine_file(path); }

void Engine::save(const std::filesystem::path& path, const SaveProgress& progress) const {
  program::WriteOptions options;
  options.progress = progress;
  program::write_engine_file(path, impl_->data, *impl_->weights, options);
}

const std::string& Engine::backend() const { return impl_->data.backend; }
int64_t Engine::devices() const { return impl_->data.ranks; }
size_t Engine::profiles() const { return impl_->data.programs.size(); }

std::vector<TensorInfo> Engine::inputs(size_t profile) const {
  return describe(impl_->data.inputs, program_of(*impl_, profile));
}
std::vector<TensorInfo> Engine::outputs(size_t profile) const {
  return describe(impl_->data.outputs, program_of(*impl_, profile));
}

std::vector<InstructionInfo> Engine::instructions(size_t profile) const {
  std::vector<InstructionInfo> infos;
  for (const program::Segment& segment : program_of(*impl_, profile).segments) {
    for (const program::Instruction& instruction : segment.instructions) {
      InstructionInfo& info = infos.emplace_back();
      info.op = instruction.op;
      info.name = instruction.name;
      info.text = program::text_of(instruction, impl_->data);
      info.predicted_us = instruction.predicted_us;
      for (const program::ModelTensor& tensor : instruction.tensors) {
        info.results.push_back({tensor.name, tensor.placement.text()});
      }
    }
  }
  return infos;
}

std::map<std::string, int64_t> Engine::collectives(size_t profile) const {
  std::map<std::string, int64_t> counts;
  for (const program::Segment& segment : program_of(*impl_, profile).segments) {
    for (const program::Instruction& instruction : segment.instructions) {
      if (program::is_collective(instruction.op)) ++counts[instruction.op];
    }
  }
  return counts;
}

std::vector<LayoutInfo> Engine::weights() const {
  std::vector<LayoutInfo> infos;
  for (const program::Weight& weight : impl_->data.weights) {
    infos.push_back({weight.name, weight.placement.text()});
  }
  return infos;
}

const std::vector<int64_t>& Engine::memory_bytes() const { return impl_->data.memory_bytes; }

std::vector<int64_t> Engine::weights_bytes() const {
  return program::weight_bytes_by_rank(impl_->data);
}

int64_t Engine::activation_bytes() const {
  int64_t bytes = 0;
  for (const Program& program : impl_->data.programs) bytes = std::max(bytes, program.arena_bytes);
  return bytes;
}
int64_t Engine::workspace_bytes() const {
  int64_t bytes = 0;
  for (const Program& program : impl_->data.programs) {
    bytes = std::max(bytes, program.workspace_bytes);
  }
  return bytes;
}

double Engine::predicted_us(size_t profile) const {
  return program_of(*impl_, profile).predicted_us;
}
double Engine::unsplit_us(size_t profile) const { return program_of(*impl_, profile).unsplit_us; }
const std::string& Engine::plan_json() const { return impl_->data.plan_json; }
std::string Engine::program_text() const { return program::text_of(impl_->data); }

}  // namespace cleave
