// Chains of element-wise operations on GPUs: one kernel a chain, made from its steps. A thread
// takes some elements that lie one behind the other; where operands lie in another order than the
// result, a block takes a tile (cuda_tiles.h).
#include <algorithm>
#include <numeric>
#include <utility>

#include "backend/cuda/launch.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "ops/elementwise/cuda_chain.h"
#include "ops/elementwise/cuda_element.h"
#include "ops/elementwise/cuda_tiles.h"

namespace cleave::backend {
namespace {

constexpr int64_t kVectorBytes = 16;

std::vector<DType> types_of(const std::vector<TensorView>& views) {
  std::vector<DType> types;
  for (const TensorView& view : views) types.push_back(view.dtype);
  return types;
}

IndexSpace space_of(const KernelProblem& problem) {
  std::vector<std::vector<int64_t>> strides;
  const auto& shape = problem.outputs.at(0).shape;
  for (const TensorView& view : problem.inputs) strides.push_back(broadcast_strides(view, shape));
  for (const TensorView& view : problem.outputs) strides.push_back(view.strides);
  return IndexSpace(shape, std::move(strides));
}

// Inputs, then outputs.
std::vector<const TensorView*> operands_of(const KernelProblem& problem) {
  std::vector<const TensorView*> views;
  for (const TensorView& view : problem.inputs) views.push_back(&view);
  for (const TensorView& view : problem.outputs) views.push_back(&view);
  return views;
}

// How many elements a thread works on at once: as many as the largest type has in 16 bytes, where
// every operand's lie one behind the other or are all the same along the last dimension, and each
// row begins where that many can be read.
int64_t vector_elements(const IndexSpace& space, const KernelProblem& problem) {
  if (space.extents.empty()) return 1;
  const std::vector<const TensorView*> views = operands_of(problem);
  int64_t elements = std::gcd(kVectorBytes, space.extents.back());
  for (size_t i = 0; i < views.size(); ++i) {
    const auto size = static_cast<int64_t>(size_of(views[i]->dtype));
    const std::vector<int64_t>& strides = space.strides[i];
    elements = std::gcd(elements, kVectorBytes / size);
    if (strides.back() != 0 && strides.back() != 1) return 1;
    if (strides.back() == 0) continue;
    elements = std::gcd(elements, views[i]->alignment / size);
    for (size_t d = 0; d + 1 < strides.size(); ++d) elements = std::gcd(elements, strides[d]);
  }
  return elements;
}

// The device code of a chain whose operand i lies along the last dimension as `along[i]` says: by
// its stride (0 or 1), or -1 where that is an argument like the others.
std::string source_of(const FusedProgram& program, const std::vector<DType>& inputs,
                      const std::vector<DType>& outputs, const std::vector<int64_t>& along,
                      int64_t elements, int64_t rank) {
  const size_t operands = inputs.size() + outputs.size();
  const auto type = [&](size_t i) {
    return device_type(i < inputs.size() ? inputs[i] : outputs[i - inputs.size()]);
  };
  const std::string count = std::to_string(elements);
  std::string out = chain_source(program, inputs, rank);
  out += "extern \"C\" __global__ void elementwise(const Space<" + std::to_string(operands) +
         "> space";
  for (size_t i = 0; i < operands; ++i) {
    const bool input = i < inputs.size();
    out += std::string(", ") + (input ? "const " : "") + type(i) + "* p" + std::to_string(i);
  }
  out +=
      ") {\n"
      "  const uint32_t stride = gridDim.x * blockDim.x;\n"
      "  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < space.elements; "
      "i += stride) {\n"
      "    int64_t at[" +
      std::to_string(operands) +
      "];\n"
      "    space.locate(i, at);\n";
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string n = std::to_string(i);
    const std::string place = "p" + n + " + at[" + n + "]";
    const std::string vector = "Vector<" + type(i) + ", " + (along[i] == 1 ? count : "1") + ">";
    out += "    const " + vector + " x" + n + " = *reinterpret_cast<const " + vector + "*>(" +
           place + ");\n";
  }
  std::vector<std::string> elements_read;
  for (size_t i = 0; i < inputs.size(); ++i) {
    elements_read.push_back("x" + std::to_string(i) + ".at[" + (along[i] == 1 ? "e" : "0") + "]");
  }
  out += chain_loop(program, inputs, outputs, elements_read, elements);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string n = std::to_string(inputs.size() + i);
    out += "    *reinterpret_cast<Vector<" + type(inputs.size() + i) + ", " + count + ">*>(p" + n +
           " + at[" + n + "]) = y" + std::to_string(i) + ";\n";
  }
  return out + "  }\n}\n";
}

class PreparedElementwise final : public PreparedKernel {
 public:
  PreparedElementwise(const KernelProblem& problem, const FusedProgram& program, CudaDevice& device)
      : inputs_(types_of(problem.inputs)),
        outputs_(types_of(problem.outputs)),
        program_(program),
        space_(space_of(problem)),
        rank_(problem.attributes.integer("rank", 0)),
        device_(device) {
    if (space_.elements == 0) return;
    std::vector<int64_t> alignments;
    for (const TensorView* view : operands_of(problem)) alignments.push_back(view->alignment);
    tiles_ = TiledChain::of(program_, space_, inputs_, outputs_, alignments, rank_, device);
    if (!tiles_) form_ = make(vector_elements(space_, problem));
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (space_.elements == 0) return;
    std::vector<const void*> pointers(inputs.begin(), inputs.end());
    pointers.insert(pointers.end(), outputs.begin(), outputs.end());
    if (tiles_) {
      tiles_->run(pointers, launch.stream);
      return;
    }
    for (size_t i = 0; i < pointers.size(); ++i) {
      check_aligned({pointers[i]}, form_->alignments[i]);
    }
    std::vector<const void*> arguments = {form_->space.data()};
    for (const void* const& pointer : pointers) arguments.push_back(&pointer);
    launch_kernel(form_->kernel, grid_for(form_->pieces, device_), launch.stream, arguments);
  }

 private:
  // The chain for so many elements a thread.
  struct Form {
    cudaKernel_t kernel;
    SpaceArgument space;
    int64_t pieces;
    std::vector<int64_t> alignments;  // of pointers, in bytes
  };

  Form make(int64_t elements) const {
    IndexSpace space = space_;
    std::vector<int64_t> along;
    std::vector<int64_t> alignments;
    for (size_t i = 0; i < space.strides.size(); ++i) {
      std::vector<int64_t>& strides = space.strides[i];
      const int64_t stride = strides.empty() ? 0 : strides.back();
      along.push_back(elements > 1 ? stride : 0);
      const DType type = i < inputs_.size() ? inputs_[i] : outputs_[i - inputs_.size()];
      alignments.push_back(static_cast<int64_t>(size_of(type)) * (stride == 1 ? elements : 1));
      if (elements > 1) strides.back() *= elements;
    }
    if (elements > 1) space.extents.back() /= elements;
    const size_t dims = space.extents.size();
    const std::string source = source_of(program_, inputs_, outputs_, along, elements, rank_);
    return {device_.modules().get(source, "elementwise"), SpaceArgument(space, dims),
            space_.elements / elements, std::move(alignments)};
  }

  const std::vector<DType> inputs_;
  const std::vector<DType> outputs_;
  const FusedProgram program_;
  const IndexSpace space_;
  const int64_t rank_;
  CudaDevice& device_;
  std::optional<TiledChain> tiles_;
  std::optional<Form> form_;
};

class ElementwiseKernel final : public Kernel {
 public:
  std::string_view op() const override { return "fused_elementwise"; }
  std::string_view name() const override { return "fused_elementwise.generated"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    return refuse_elementwise(problem);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return prepare_elementwise(problem, cuda_device(cache));
  }
};

}  // namespace

std::optional<std::string> refuse_elementwise(const KernelProblem& problem) {
  if (problem.outputs.empty()) return "it has no result";
  for (const TensorView& view : problem.outputs) {
    if (view.shape != problem.outputs[0].shape) return "results differ in shape";
  }
  if (auto reason = refuse_space(space_of(problem))) return reason;
  return refuse_chain(FusedProgram::from_attributes(problem.attributes), types_of(problem.inputs));
}

std::unique_ptr<PreparedKernel> prepare_elementwise(const KernelProblem& problem,
                                                    CudaDevice& device) {
  return std::make_unique<PreparedElementwise>(
      problem, FusedProgram::from_attributes(problem.attributes), device);
}

std::vector<std::shared_ptr<const Kernel>> make_elementwise_cuda() {
  return {std::make_shared<ElementwiseKernel>()};
}

}  // namespace cleave::backend
