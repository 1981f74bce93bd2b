#include <vector>

#include "backend/kernel_compiler.h"
#include "base/thread_pool.h"
#include "base/wait_word.h"
#include "cleave/runtime.h"
#include "program/program.h"
#include "runtime/backends.h"
#include "runtime/collective.h"
#include "runtime/engine_impl.h"
#include "runtime/located.h"

namespace cleave {
namespace {

using runtime::LocatedInstruction;

struct Work {
  const program::Instruction* instruction;
  LocatedInstruction located;
};

// What any rank's kernels do at the opt sizes of the program.
void add_work(const program::EngineData& data, const program::Program& program,
              std::vector<Work>& work) {
  const SymbolValues sizes = program.opt_sizes();
  for (int64_t rank = 0; rank < data.ranks; ++rank) {
    const runtime::Locator locator(data, program, sizes, rank);
    for (const program::Segment& segment : program.segments) {
      for (const program::Instruction& instruction : segment.instructions) {
        if (runtime::is_collective_op(instruction.op)) continue;
        LocatedInstruction located = locator.locate(instruction);
        if (located.has_work()) work.push_back({&instruction, std::move(located)});
      }
    }
  }
}

}  // namespace

void require_architecture(const DeviceList& devices, std::string_view architecture) {
  runtime::find_backend_without_devices(devices.backend())->make_compiler(architecture);
}

CompiledKernels compile_kernels(const Engine& engine, std::string_view architecture) {
  const auto compiler =
      runtime::find_backend_without_devices(engine.backend())->make_compiler(architecture);
  const program::EngineData& data = engine.impl()->data;
  std::vector<Work> work;
  for (const program::Program& program : data.programs) add_work(data, program, work);
  ThreadPool pool(available_cores());
  pool.parallel_for(static_cast<int64_t>(work.size()), [&](int64_t i) {
    const Work& one = work[static_cast<size_t>(i)];
    try {
      compiler->compile(one.located.problem(one.instruction->op, /*threads=*/1));
    } catch (Error& error) {
      error.at(one.instruction->op + " " + one.instruction->name);
      throw;
    }
  });
  const auto done = compiler->done();
  return {done.compiled, done.found, done.folder};
}

}  // namespace cleave
