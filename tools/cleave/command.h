// Command: one subcommand of the program.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace cleave::cli {

// What a command does once its options are parsed. Failures are exceptions.
using Action = std::function<void()>;

struct Command {
  const char* name;
  const char* summary;
  Action (*add)(CLI::App& app);  // adds the command's options
};

Action add_plan(CLI::App& app);
Action add_build(CLI::App& app);
Action add_run(CLI::App& app);
Action add_verify(CLI::App& app);
Action add_bench(CLI::App& app);
Action add_inspect(CLI::App& app);
Action add_measure(CLI::App& app);
Action add_doctor(CLI::App& app);
Action add_trtexec(CLI::App& app);

}  // namespace cleave::cli
