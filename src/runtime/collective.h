// Collective instructions with all sizes known: which elements go where.
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "backend/kernel.h"
#include "comm/communicator.h"
#include "types/attributes.h"
#include "types/cut.h"

namespace cleave::runtime {

struct AllReduce {
  int64_t count = 0;
  ReduceOp op = ReduceOp::kSum;
};
struct AllGather {
  ShardMap map;
};
struct ReduceScatter {
  ShardMap map;
  ReduceOp op = ReduceOp::kSum;
};
struct AllToAll {
  std::vector<int64_t> shape;  // of the whole
  BoxMap from;
  BoxMap to;
};
// No communication: this rank's pieces of a tensor that it has whole.
struct TakeShard {
  ShardMap map;
};

struct Collective {
  DType dtype = DType::kFloat32;
  std::variant<AllReduce, AllGather, ReduceScatter, AllToAll, TakeShard> what;

  // Puts it on the stream; source and destination are memory of `device`, that of the
  // communicator's rank.
  void run(backend::Device& device, Communicator& communicator, const void* source,
           void* destination, StreamHandle stream) const;
  // Whether ranks meet in it.
  bool communicates() const { return !std::holds_alternative<TakeShard>(what); }
};

// True for the ops of src/ops/README.md's table of collectives, `shard` among them.
bool is_collective_op(std::string_view op);

// `attributes` hold constants only; operands are dense. Error(kInvalid) where they and the
// operands' shapes do not agree for `rank` of `ranks`.
Collective make_collective(std::string_view op, const Attributes& attributes,
                           const backend::TensorView& input, const backend::TensorView& output,
                           int64_t rank, int64_t ranks);

}  // namespace cleave::runtime
