#include <map>

#include "base/check.h"
#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class FromOps final : public Capabilities {
 public:
  FromOps(std::string backend, bool merges_products, OpCapabilitiesList ops)
      : backend_(std::move(backend)), merges_products_(merges_products) {
    for (auto& [op, capabilities] : ops) ops_.emplace(op, std::move(capabilities));
  }

  std::string_view backend() const override { return backend_; }
  bool merges_products() const override { return merges_products_; }
  bool fuses_epilogue(std::string_view op) const override { return of(op).fuses_epilogue(); }
  bool fuses_chain(std::string_view op, const FusedProgram& chain, const TensorType& result,
                   std::span<const ChainOperand> operands) const override {
    return of(op).fuses_epilogue() && of(op).fuses_chain(chain, result, operands);
  }
  bool reads_strided(std::string_view op, size_t input) const override {
    return of(op).reads_strided(input);
  }
  bool reads_rows(std::string_view op, size_t input) const override {
    return of(op).reads_rows(input);
  }
  bool reads_columns(std::string_view op, size_t input) const override {
    return of(op).reads_columns(input);
  }
  bool writes(std::string_view op, DType dtype, Format format) const override {
    return of(op).writes(dtype, format);
  }
  bool reads_as_result(std::string_view op, size_t input) const override {
    return of(op).reads_as_result(input);
  }
  bool costs_by_operand(std::string_view op) const override { return of(op).costs_by_operand(); }
  Dim workspace_bytes(std::string_view op, const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    return of(op).workspace_bytes(attributes, inputs);
  }
  Dim packed_bytes(std::string_view op, const Attributes& attributes, size_t input,
                   const TensorType& weight) const override {
    return of(op).packed_bytes(attributes, input, weight);
  }

 private:
  const OpCapabilities& of(std::string_view op) const {
    static const OpCapabilities kPlain;
    const auto found = ops_.find(op);
    return found == ops_.end() ? kPlain : *found->second;
  }

  std::string backend_;
  bool merges_products_;
  std::map<std::string, std::shared_ptr<const OpCapabilities>, std::less<>> ops_;
};

}  // namespace

std::shared_ptr<const Capabilities> cpu() {
  return std::make_shared<FromOps>("cpu", false, cpu_op_capabilities());
}

std::shared_ptr<const Capabilities> of_backend(std::string_view backend) {
  if (backend == "cpu") return cpu();
  CLEAVE_CHECK(backend == "cuda", "there are no capabilities of this backend");
  return std::make_shared<FromOps>("cuda", true, cuda_op_capabilities());
}

}  // namespace cleave::capabilities
