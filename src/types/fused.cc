#include "types/fused.h"

#include <charconv>
#include <sstream>

#include "cleave/error.h"

namespace cleave {
namespace {

[[noreturn]] void fail(const std::string& text) {
  throw Error(ErrorCode::kInvalid, "not a fused step: '" + text + "'");
}

std::string text_of(const FusedStep& step) {
  std::string out = step.op;
  if (step.alpha != 0) {
    char buffer[64];
    out += "(" + std::string(buffer, std::to_chars(buffer, buffer + 64, step.alpha).ptr) + ")";
  }
  for (int32_t arg : step.args) out += " " + std::to_string(arg);
  return out + " : " + std::string(name_of(step.type));
}

FusedStep parse_step(const std::string& text) {
  std::istringstream stream(text);
  FusedStep step;
  if (!(stream >> step.op)) fail(text);
  if (const size_t open = step.op.find('('); open != std::string::npos) {
    const char* begin = step.op.data() + open + 1;
    const char* end = step.op.data() + step.op.size() - 1;
    if (*end != ')' || std::from_chars(begin, end, step.alpha).ptr != end) fail(text);
    step.op.resize(open);
  }
  std::string token;
  while (stream >> token && token != ":") {
    int32_t arg = 0;
    const char* end = token.data() + token.size();
    if (std::from_chars(token.data(), end, arg).ptr != end || arg < 0) fail(text);
    step.args.push_back(arg);
  }
  std::string type;
  if (token != ":" || !(stream >> type) || (stream >> token)) fail(text);
  const auto parsed = parse_dtype(type);
  if (!parsed || step.args.empty() || step.args.size() > 3) fail(text);
  step.type = *parsed;
  return step;
}

}  // namespace

void FusedProgram::to_attributes(Attributes& attributes, std::string_view prefix) const {
  std::vector<std::string> texts;
  for (const FusedStep& step : steps) texts.push_back(text_of(step));
  const std::string p(prefix);
  attributes.set(p + "inputs", Dim(static_cast<int64_t>(inputs)));
  attributes.set(p + "steps", texts);
  attributes.set(p + "outputs", std::vector<Dim>(outputs.begin(), outputs.end()));
}

FusedProgram FusedProgram::from_attributes(const Attributes& attributes, std::string_view prefix) {
  const std::string p(prefix);
  FusedProgram program;
  const int64_t inputs = attributes.integer(p + "inputs");
  if (inputs < 0 || inputs > 1024) fail("inputs=" + std::to_string(inputs));
  program.inputs = static_cast<int32_t>(inputs);
  for (const std::string& text : attributes.strings(p + "steps")) {
    FusedStep step = parse_step(text);
    const auto known = program.inputs + static_cast<int32_t>(program.steps.size());
    for (int32_t arg : step.args) {
      if (arg >= known) fail(text);
    }
    program.steps.push_back(std::move(step));
  }
  const auto known = program.inputs + static_cast<int64_t>(program.steps.size());
  for (int64_t output : attributes.integers(p + "outputs")) {
    if (output < 0 || output >= known) fail("outputs");
    program.outputs.push_back(static_cast<int32_t>(output));
  }
  return program;
}

bool FusedProgram::is_in(const Attributes& attributes, std::string_view prefix) {
  return attributes.has(std::string(prefix) + "steps");
}

void FusedProgram::erase_from(Attributes& attributes, std::string_view prefix) {
  for (const char* name : {"inputs", "steps", "outputs"}) {
    attributes.erase(std::string(prefix) + name);
  }
}

}  // namespace cleave
