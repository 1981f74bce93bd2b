// TestModel: small ONNX models for tests, written with the schema's own classes.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

#include "onnx.pb.h"
#include "onnx/import.h"
#include "ops/interpreter.h"
#include "tests/support/error_of.h"

namespace cleave::onnx {

// A dimension of an input: a number, a name, or nothing (-1).
using TestDim = std::variant<int, const char*>;

// A folder that is there while the object lives.
class TestFolder {
 public:
  TestFolder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            ("cleave_onnx_" + std::to_string(::getpid()) + "_" + test->test_suite_name() + "_" +
             test->name());
    std::filesystem::create_directories(path_);
  }
  TestFolder(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline HostTensor tensor_of(DType dtype, std::vector<int64_t> shape,
                            const std::vector<double>& values) {
  HostTensor tensor(dtype, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

inline HostTensor floats(std::vector<int64_t> shape, const std::vector<double>& values) {
  return tensor_of(DType::kFloat32, std::move(shape), values);
}

inline HostTensor integers(std::vector<int64_t> shape, const std::vector<double>& values) {
  return tensor_of(DType::kInt64, std::move(shape), values);
}

inline std::vector<double> values_of(const HostTensor& tensor) {
  std::vector<double> values;
  for (int64_t i = 0; i < tensor.elements(); ++i) values.push_back(tensor.get(i));
  return values;
}

class TestModel {
 public:
  explicit TestModel(int64_t opset = 17) {
    proto_.set_ir_version(8);
    proto_.mutable_graph()->set_name("test");
    import("", opset);
  }

  ::onnx::ModelProto& proto() { return proto_; }
  ::onnx::GraphProto& graph() { return *proto_.mutable_graph(); }

  void import(const std::string& domain, int64_t version) {
    auto* import = proto_.add_opset_import();
    import->set_domain(domain);
    import->set_version(version);
  }

  TestModel& input(const std::string& name, std::vector<TestDim> dims,
                   int type = ::onnx::TensorProto::FLOAT) {
    fill(*graph().add_input(), name, dims, type);
    return *this;
  }
  TestModel& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  static void fill(::onnx::ValueInfoProto& info, const std::string& name,
                   const std::vector<TestDim>& dims, int type) {
    info.set_name(name);
    auto* tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    auto* shape = tensor->mutable_shape();
    for (const TestDim& dim : dims) {
      auto* added = shape->add_dim();
      if (const int* value = std::get_if<int>(&dim)) {
        if (*value >= 0) added->set_dim_value(*value);
      } else {
        added->set_dim_param(std::get<const char*>(dim));
      }
    }
  }

  static ::onnx::TensorProto proto_of(const std::string& name, const HostTensor& value) {
    ::onnx::TensorProto tensor;
    tensor.set_name(name);
    for (const int64_t extent : value.shape) tensor.add_dims(extent);
    static constexpr int kTypes[] = {1, 10, 16, 11, 3, 5, 6, 7, 2, 4, 12, 13, 9};
    tensor.set_data_type(kTypes[static_cast<size_t>(value.dtype)]);
    tensor.set_raw_data(value.bytes.data(), value.bytes.size());
    return tensor;
  }
  TestModel& initializer(const std::string& name, const HostTensor& value) {
    *graph().add_initializer() = proto_of(name, value);
    return *this;
  }

  // The node is named as its first output, in capitals' stead with "node:".
  ::onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs) {
    return fill_node(*graph().add_node(), op, inputs, outputs);
  }
  static ::onnx::NodeProto& fill_node(::onnx::NodeProto& node, const std::string& op,
                                      const std::vector<std::string>& inputs,
                                      const std::vector<std::string>& outputs) {
    node.set_op_type(op);
    node.set_name("node:" + outputs.at(0));
    for (const std::string& name : inputs) node.add_input(name);
    for (const std::string& name : outputs) node.add_output(name);
    return node;
  }

  std::string bytes() const { return proto_.SerializeAsString(); }
  ir::Graph load(const ImportOptions& options = {}) const {
    const TestFolder folder;
    return onnx::load(folder.write("model.onnx", bytes()), options, ops::Registry::builtin());
  }
  // Imports and interprets the model.
  std::vector<HostTensor> run(const std::vector<HostTensor>& inputs) const {
    const TestFolder folder;
    const ops::Registry registry = ops::Registry::builtin();
    const ir::Graph graph = onnx::load(folder.write("model.onnx", bytes()), {}, registry);
    return ops::interpret(graph, registry, inputs);
  }

 private:
  ::onnx::ModelProto proto_;
};

inline ::onnx::AttributeProto& attribute(::onnx::NodeProto& node, const std::string& name,
                                         ::onnx::AttributeProto::AttributeType type) {
  auto* added = node.add_attribute();
  added->set_name(name);
  added->set_type(type);
  return *added;
}
inline void set(::onnx::NodeProto& node, const std::string& name, int64_t value) {
  attribute(node, name, ::onnx::AttributeProto::INT).set_i(value);
}
inline void set(::onnx::NodeProto& node, const std::string& name, double value) {
  attribute(node, name, ::onnx::AttributeProto::FLOAT).set_f(static_cast<float>(value));
}
inline void set(::onnx::NodeProto& node, const std::string& name, const char* value) {
  attribute(node, name, ::onnx::AttributeProto::STRING).set_s(value);
}
inline void set(::onnx::NodeProto& node, const std::string& name,
                const std::vector<int64_t>& values) {
  auto& added = attribute(node, name, ::onnx::AttributeProto::INTS);
  for (const int64_t value : values) added.add_ints(value);
}
inline void set(::onnx::NodeProto& node, const std::string& name, const HostTensor& value) {
  *attribute(node, name, ::onnx::AttributeProto::TENSOR).mutable_t() =
      TestModel::proto_of("", value);
}

// The names of the ops of a graph, in order.
inline std::vector<std::string> ops_of(const ir::Graph& graph) {
  std::vector<std::string> ops;
  for (const ir::NodeId id : graph.order()) ops.push_back(graph.node(id).op);
  return ops;
}

}  // namespace cleave::onnx
