// The program: finds the command, runs it, and turns every failure into an exit code.
#include <fmt/format.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string_view>

#include "cleave/error.h"
#include "command.h"
#include "output.h"

namespace cleave::cli {
namespace {

constexpr std::array<Command, 9> kCommands = {
    {{"plan", "show how a model would be split, what it costs, and why", &add_plan},
     {"build", "plan, compile and write an engine", &add_build},
     {"run", "one inference of a model or an engine", &add_run},
     {"verify", "compare a model split with itself unsplit, and with expected outputs",
      &add_verify},
     {"bench", "latency, throughput, communication and memory", &add_bench},
     {"inspect", "what is in an engine file", &add_inspect},
     {"measure", "the machine model: what devices and links cost", &add_measure},
     {"doctor", "what was found on this machine, and what is missing", &add_doctor},
     {"trtexec", "build and time with the flags of TensorRT's trtexec", &add_trtexec}}};

std::string help_text() {
  std::string text =
      "cleave: splits one neural network over several devices\n\nusage: cleave COMMAND ...\n\n";
  for (const Command& command : kCommands) {
    text += fmt::format("  {:<9}{}\n", command.name, command.summary);
  }
  return text +
         "\n`cleave COMMAND --help` lists a command's options; `cleave --version` the version.\n"
         "Exit codes: 0 done, 1 verification failed, 2 wrong usage, 3 invalid model or input,\n"
         "4 not supported, 5 out of memory, 6 a device failed, 70 a bug in Cleave.\n";
}

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

[[noreturn]] void fail_usage(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  const std::vector<std::string> extra = app.remaining();
  if (!extra.empty()) {
    const bool is_option = extra[0].starts_with('-');
    message = (is_option ? "there is no option " : "an argument too many: ") + extra[0];
  }
  throw Error(ErrorCode::kUsage, message, fmt::format("see `{} --help`", app.get_name()));
}

void run_command(const Command& command, int argc, char** argv) {
  CLI::App app(command.summary, fmt::format("cleave {}", command.name));
  const Action action = command.add(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return print(app.help());
  } catch (const CLI::ParseError& error) {
    fail_usage(app, error);
  }
  action();
}

// argv[0] is the program.
void run_program(int argc, char** argv) {
  if (argc > 0 && std::filesystem::path(argv[0]).filename() == "trtexec") {
    return run_command(*find_command("trtexec"), argc, argv);
  }
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h" || first == "help") return print(help_text());
  if (first == "--version") return print("cleave " CLEAVE_VERSION "\n");
  const Command* command = find_command(first);
  if (command == nullptr) {
    std::string names;
    for (const Command& each : kCommands)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
    throw Error(
        ErrorCode::kUsage,
        first.empty() ? "no command is given" : fmt::format("there is no command '{}'", first),
        "the commands are: " + names + "; see `cleave --help`");
  }
  run_command(*command, argc - 1, argv + 1);
}

// For errors that know no better.
const char* general_hint(ErrorCode code) {
  switch (code) {
    case ErrorCode::kVerificationFailed:
      return "--rtol and --atol set the tolerance";
    case ErrorCode::kUsage:
      return "see `cleave --help`";
    case ErrorCode::kInvalid:
      return "mend the file that is named, or make it again";
    case ErrorCode::kUnsupported:
      return "change the model so that it does without";
    case ErrorCode::kOutOfMemory:
      return "use more devices, smaller shapes, or raise --memory";
    case ErrorCode::kDevice:
      return "`cleave doctor` shows what devices there are";
    case ErrorCode::kInternal:
      return "this is a bug in Cleave; please report it with the command";
  }
  return "";
}

int report(Error error) {
  if (error.hint().empty()) error.with_hint(general_hint(error.code()));
  print_error(error.what());
  return exit_code(error.code());
}

int guarded_main(int argc, char** argv) {
  try {
    run_program(argc, argv);
    flush_output();
    return 0;
  } catch (const BrokenPipe&) {
    return 0;
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(Error(ErrorCode::kOutOfMemory, "the host is out of memory",
                        "close other programs, or use smaller shapes"));
  } catch (const std::exception& error) {
    return report(Error(ErrorCode::kInternal, std::string("an unexpected failure: ") + error.what(),
                        "this is a bug in Cleave; please report it with the command"));
  } catch (...) {
    return report(Error(ErrorCode::kInternal, "an unexpected failure",
                        "this is a bug in Cleave; please report it with the command"));
  }
}

}  // namespace
}  // namespace cleave::cli

int main(int argc, char** argv) {
  // Writing to a closed pipe or beyond a file size limit is an error to report, not a signal.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return cleave::cli::guarded_main(argc, argv);
}
