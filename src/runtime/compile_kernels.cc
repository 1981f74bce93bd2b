#include <cstdint>
#include <utility>
#include <vector>

#include "backend/kernel_compiler.h"
#include "base/thread_pool.h"
#include "base/wait_word.h"
#include "cleave/runtime.h"
#include "program/program.h"
#include "runtime/backends.h"
#include "runtime/engine_impl.h"
#include "runtime/located.h"

namespace cleave {
namespace {

struct Work {
  const program::Instruction& instruction;
  uint32_t number;
  runtime::LocatedInstruction located;
};

}  // namespace

void require_architecture(const DeviceList& devices, std::string_view architecture) {
  runtime::find_backend_without_devices(devices.backend())->make_compiler(architecture);
}

CompiledKernels compile_kernels(const Engine& engine, std::string_view architecture) {
  const auto compiler =
      runtime::find_backend_without_devices(engine.backend())->make_compiler(architecture);
  const program::EngineData& data = engine.impl()->data;
  std::vector<Work> work;
  for (const program::Program& program : data.programs) {
    const SymbolValues sizes = values_of(program.symbols, &program::Symbol::opt);
    runtime::for_each_work(data, program, sizes,
                           [&](const program::Instruction& instruction, uint32_t number,
                               runtime::LocatedInstruction located) {
                             work.push_back({instruction, number, std::move(located)});
                           });
  }
  ThreadPool pool(available_cores());
  pool.parallel_for(static_cast<int64_t>(work.size()), [&](int64_t i) {
    const Work& one = work[static_cast<size_t>(i)];
    try {
      compiler->compile(one.located.problem(one.instruction.op, /*threads=*/1));
    } catch (Error& error) {
      error.at(runtime::place_of(one.instruction, one.number));
      throw;
    }
  });
  const auto done = compiler->done();
  return {done.compiled, done.found, done.folder};
}

}  // namespace cleave
