// "matmul.onednn": products of float32 rows with a weight that oneDNN has reordered once. oneDNN
// multiplies blocks, each on the thread that asks; threads, chains and strides are ours. Built
// where oneDNN is found (cmake/CleaveKernels.cmake).
#include <dlfcn.h>

#include <algorithm>
#include <dnnl.hpp>
#include <map>
#include <string>
#include <utility>

#include "backend/cpu/slots.h"
#include "backend/cpu/strided_copy.h"
#include "backend/kernel.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "cleave/error.h"
#include "ops/matmul/cpu_epilogue.h"

namespace cleave::backend {
namespace {

using dnnl::memory;

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// oneDNN, and how it is kept from starting threads. Where it is built with OpenMP each call would
// start a team; the runtime is found by name, so that it is the one that oneDNN itself calls.
struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  void (*set_threads)(int) = nullptr;
  int (*threads)() = nullptr;

  OneDnn() {
    if constexpr (DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP) {
      set_threads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
      threads = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
    }
  }
  // Whether its calls stay on the thread that makes them.
  bool keeps_to_one_thread() const {
    if constexpr (DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_TBB) return false;
    return DNNL_CPU_THREADING_RUNTIME != DNNL_RUNTIME_OMP || (set_threads && threads);
  }
};

// While it lives, OpenMP regions that this thread enters have no other thread.
class SingleThread {
 public:
  explicit SingleThread(const OneDnn& library) : library_(library) {
    if (library_.threads == nullptr) return;
    before_ = library_.threads();
    library_.set_threads(1);
  }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;
  ~SingleThread() {
    if (library_.threads != nullptr) library_.set_threads(before_);
  }

 private:
  const OneDnn& library_;
  int before_ = 1;
};

// oneDNN's exceptions as Cleave's.
template <class Body>
auto with_errors(const Body& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) {
      throw Error(ErrorCode::kOutOfMemory, "oneDNN has no memory left for a matrix product",
                  "close other programs, or use smaller shapes");
    }
    throw Error(ErrorCode::kInternal,
                std::string("oneDNN failed in a matrix product: ") + error.what(),
                "this is a bug in Cleave; please report it with the model");
  }
}

// The blocks of the result, one a task. They depend on sizes alone, and so does all that oneDNN
// decides by them: results do not depend on threads. The weight is packed by blocks of columns,
// which depend on the weight alone.
struct Blocks {
  static constexpr int64_t kRows = 128;
  static constexpr int64_t kColumns = 192;
  static constexpr int64_t kGrain = 48;             // whole tiles of the kernels for AVX2, AVX-512
  static constexpr int64_t kLeastWeight = 1 << 16;  // elements, so that a call is worth its launch

  int64_t rows;
  int64_t n;
  int64_t grains;
  int64_t row_blocks;
  int64_t column_blocks;

  Blocks(int64_t all_rows, int64_t k, int64_t columns)
      : rows(all_rows),
        n(columns),
        grains((columns + kGrain - 1) / kGrain),
        row_blocks((all_rows + kRows - 1) / kRows),
        column_blocks(
            std::max<int64_t>(1, std::min(columns / kColumns, k * columns / kLeastWeight))) {}

  Range row_block(int64_t index) const { return partition(rows, row_blocks, index); }
  Range column_block(int64_t index) const {
    const Range range = partition(grains, column_blocks, index);
    return {range.begin * kGrain, std::min(range.end * kGrain, n)};
  }
};

// How a block of a lies: rows and k, one of them without gaps.
std::optional<memory::dims> strides_of_a(const MatmulLayout& layout, int64_t rows) {
  const size_t a = MatmulLayout::a_operand();
  if (!layout.rows.is_linear(a)) return std::nullopt;
  const int64_t row = layout.rows.linear_stride(a);
  const int64_t all_rows = layout.rows.elements;
  const int64_t along_k = layout.a_k_stride;
  if ((along_k == 1 || layout.k == 1) && (row >= layout.k || all_rows == 1)) {
    return memory::dims{std::max(row, layout.k), 1};
  }
  if ((row == 1 || all_rows == 1) && along_k >= all_rows) {
    return memory::dims{1, std::max(along_k, rows)};
  }
  return std::nullopt;
}

memory::desc dense(int64_t rows, int64_t columns) {
  return {{rows, columns}, memory::data_type::f32, memory::dims{columns, 1}};
}

dnnl::matmul::primitive_desc describe(const OneDnn& library, const memory::desc& a,
                                      const memory::desc& b, const memory::desc& c) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  return {library.engine, a, b, c, attributes};
#else
  return {{a, b, c}, attributes, library.engine};
#endif
}

// The order in which oneDNN wants `columns` columns of a weight: one for all numbers of rows, so
// that a weight is packed once.
memory::desc packed_format(const OneDnn& library, int64_t k, int64_t columns) {
  const memory::desc any({k, columns}, memory::data_type::f32, memory::format_tag::any);
  return describe(library, dense(Blocks::kRows, k), any, dense(Blocks::kRows, columns))
      .weights_desc();
}

class PreparedOneDnn final : public PreparedKernel {
 public:
  PreparedOneDnn(std::shared_ptr<const OneDnn> library, const KernelProblem& problem,
                 KernelCache& cache)
      : library_(std::move(library)),
        layout_(problem),
        epilogue_(problem, layout_, DType::kFloat32),
        blocks_(layout_.rows.elements, layout_.k, layout_.n),
        direct_(epilogue_.direct_leading()),
        threads_(problem.threads) {
    with_errors([&] {
      const SingleThread alone(*library_);
      for (int64_t block = 0; block < blocks_.column_blocks; ++block) {
        const int64_t columns = blocks_.column_block(block).size();
        if (!formats_.contains(columns)) {
          formats_[columns] = packed_format(*library_, layout_.k, columns);
        }
        weight_offsets_.push_back(weight_bytes_);
        weight_bytes_ += round_up(static_cast<int64_t>(formats_[columns].get_size()));
        for (int64_t rows = 0; rows < blocks_.row_blocks; ++rows) {
          add_product(blocks_.row_block(rows).size(), columns);
        }
      }
      pack_weight(problem, cache);
    });
  }

  int64_t workspace_bytes() const override { return slot_bytes_ * threads_; }
  bool reads_input(size_t input) const override { return input != MatmulLayout::b_operand(); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    Slots slots(launch.workspace, slot_bytes_, threads_);
    // Blocks of one column range follow each other: its part of the weight stays in the cache.
    launch.pool.parallel_for(blocks_.row_blocks * blocks_.column_blocks, [&](int64_t task) {
      with_errors([&] {
        compute(task % blocks_.row_blocks, task / blocks_.row_blocks, inputs, outputs, slots);
      });
    });
  }

 private:
  // The product of one size of block.
  struct Product {
    dnnl::matmul multiply;
    memory::desc a;
    memory::desc b;
    memory::desc c;
    memory::desc scratchpad;
    int64_t c_bytes = 0;  // in the slot, before oneDNN's scratchpad
  };

  void add_product(int64_t rows, int64_t columns) {
    if (products_.contains({rows, columns})) return;
    Product product;
    product.a = {{rows, layout_.k}, memory::data_type::f32, *strides_of_a(layout_, rows)};
    product.b = formats_[columns];
    product.c = {{rows, columns},
                 memory::data_type::f32,
                 memory::dims{direct_ ? std::max(*direct_, columns) : columns, 1}};
    const auto description = describe(*library_, product.a, product.b, product.c);
    product.multiply = dnnl::matmul(description);
    product.scratchpad = description.scratchpad_desc();
    if (!direct_) product.c_bytes = round_up(rows * columns * int64_t{sizeof(float)});
    const auto scratchpad = static_cast<int64_t>(product.scratchpad.get_size());
    slot_bytes_ = std::max(slot_bytes_, product.c_bytes + round_up(scratchpad));
    products_.emplace(std::pair(rows, columns), std::move(product));
  }

  void pack_weight(const KernelProblem& problem, KernelCache& cache) {
    const uint64_t format = hash_bytes("onednn " + std::to_string(layout_.b_k_stride) + " " +
                                       std::to_string(layout_.b_n_stride) + " " +
                                       std::to_string(layout_.k) + "x" + std::to_string(layout_.n));
    weight_ = cache.packed(hash_combine(problem.key(1), format), weight_bytes_, "a packed weight",
                           [&](std::byte* to) {
                             const auto* data = static_cast<const float*>(problem.constant(1));
                             pack(data, to, cache.device().pool());
                           });
  }

  // Through a plain copy: any strides will do.
  void pack(const float* weight, std::byte* to, ThreadPool& pool) const {
    dnnl::stream stream(library_->engine);
    std::vector<float> plain;
    for (int64_t block = 0; block < blocks_.column_blocks; ++block) {
      const Range columns = blocks_.column_block(block);
      plain.resize(static_cast<size_t>(layout_.k * columns.size()));
      const std::vector<int64_t> shape = {layout_.k, columns.size()};
      StridedCopy(shape, {layout_.b_k_stride, layout_.b_n_stride}, {columns.size(), 1},
                  sizeof(float))
          .run(weight + columns.begin * layout_.b_n_stride, plain.data(), pool);
      memory from(dense(layout_.k, columns.size()), library_->engine, plain.data());
      memory packed(formats_.at(columns.size()), library_->engine,
                    to + weight_offsets_[static_cast<size_t>(block)]);
      dnnl::reorder(from, packed).execute(stream, from, packed);
      stream.wait();
    }
  }

  void compute(int64_t row_block, int64_t column_block, std::span<const void* const> inputs,
               std::span<void* const> outputs, Slots& slots) const {
    const Range rows = blocks_.row_block(row_block);
    const Range columns = blocks_.column_block(column_block);
    const Product& product = products_.at({rows.size(), columns.size()});
    const Slots::Slot slot(slots);
    float* c = reinterpret_cast<float*>(slot.data());
    int64_t leading = columns.size();
    if (direct_) c = epilogue_.direct(outputs, 0, rows.begin, columns.begin, leading);
    const float* a = static_cast<const float*>(inputs[0]) +
                     layout_.rows.offset(MatmulLayout::a_operand(), rows.begin);
    multiply(product, a, weight_->data() + weight_offsets_[static_cast<size_t>(column_block)], c,
             slot.data() == nullptr ? nullptr : slot.data() + product.c_bytes);
    if (direct_) return;
    for (int64_t i = 0; i < rows.size(); ++i) {
      epilogue_.run(c + i * leading, 0, rows.begin + i, columns.begin, columns.size(), inputs,
                    outputs);
    }
  }

  void multiply(const Product& product, const float* a, std::byte* b, float* c,
                std::byte* scratchpad) const {
    const SingleThread alone(*library_);
    const dnnl::engine& engine = library_->engine;
    dnnl::stream stream(engine);
    // oneDNN takes operands that it only reads without const.
    product.multiply.execute(
        stream, {{DNNL_ARG_SRC, memory(product.a, engine, const_cast<float*>(a))},
                 {DNNL_ARG_WEIGHTS, memory(product.b, engine, b)},
                 {DNNL_ARG_DST, memory(product.c, engine, c)},
                 {DNNL_ARG_SCRATCHPAD, memory(product.scratchpad, engine, scratchpad)}});
    stream.wait();
  }

  std::shared_ptr<const OneDnn> library_;
  MatmulLayout layout_;
  MatmulEpilogue epilogue_;
  Blocks blocks_;
  std::optional<int64_t> direct_;  // blocks are computed where they belong, rows so far apart
  int threads_;
  std::map<int64_t, memory::desc> formats_;                  // by columns
  std::map<std::pair<int64_t, int64_t>, Product> products_;  // by rows and columns
  std::vector<int64_t> weight_offsets_;                      // by block of columns
  int64_t weight_bytes_ = 0;
  std::shared_ptr<const Buffer> weight_;
  int64_t slot_bytes_ = 0;
};

class OneDnnMatmul final : public Kernel {
 public:
  explicit OneDnnMatmul(std::shared_ptr<const OneDnn> library) : library_(std::move(library)) {}

  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.onednn"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = MatmulLayout::refuses(problem)) return reason;
    if (problem.inputs[0].dtype != DType::kFloat32 || problem.inputs[1].dtype != DType::kFloat32) {
      return "it takes f32";
    }
    if (!problem.is_constant(1) || problem.key(1) == 0) return "b is no weight";
    const MatmulLayout layout(problem);
    if (layout.batches != 1) return "it takes one b for all rows";
    if (layout.rows.elements == 0 || layout.k == 0 || layout.n == 0) {
      return "there is nothing to multiply";
    }
    if (!strides_of_a(layout, 1)) return "a is no plain matrix in memory";
    return MatmulEpilogue::refuses(problem, DType::kFloat32);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedOneDnn>(library_, problem, cache);
  }

 private:
  std::shared_ptr<const OneDnn> library_;
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_matmul_cpu_onednn() {
  auto library = std::make_shared<OneDnn>();
  if (!library->keeps_to_one_thread()) return {};
  return {std::make_shared<OneDnnMatmul>(std::move(library))};
}

}  // namespace cleave::backend
