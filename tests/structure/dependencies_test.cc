// The one-way dependencies of the source folders, read from the includes (docs/design.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

// What each layer may include, beside itself and the public headers. Kernels
// (src/ops/*/{cpu,cuda,kernel_}*) are a layer of their own: they see data and devices, never
// graphs.
const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::set<std::string> kDefinitions = {"base",   "types", "ir",
                                                     "layout", "ops",   "capabilities"};
  const auto with = [](std::set<std::string> layers, std::initializer_list<std::string> more) {
    layers.insert(more);
    return layers;
  };
  static const std::map<std::string, std::set<std::string>> kAllowed = {
      {"base", {}},
      {"types", {"base"}},
      {"ir", {"base", "types"}},
      {"layout", {"base", "types", "ir"}},
      {"ops", {"base", "types", "ir", "layout"}},
      {"capabilities", {"base", "types", "ir", "layout", "ops"}},
      {"onnx", kDefinitions},
      {"passes", kDefinitions},
      {"cost", kDefinitions},
      {"planner", with(kDefinitions, {"cost"})},
      {"planner/solver", {"base"}},
      {"partition", with(kDefinitions, {"cost", "planner"})},
      {"program", {"base", "types"}},
      {"lower", with(kDefinitions, {"cost", "planner", "partition", "program"})},
      {"comm", {"base", "types"}},
      {"backend", {"base", "types", "program", "comm"}},
      {"kernels", {"base", "types", "program", "comm", "backend"}},
      {"runtime", {"base", "types", "program", "comm", "backend"}},
      {"compiler", with(kDefinitions, {"onnx", "passes", "cost", "planner", "partition", "program",
                                       "lower", "comm", "backend", "runtime"})},
  };
  return kAllowed;
}

std::string layer_of(const std::string& path) {
  const fs::path parts(path);
  const std::string name = parts.filename();
  if (path.starts_with("ops/") && std::distance(parts.begin(), parts.end()) == 3 &&
      (name.starts_with("cpu") || name.starts_with("cuda") || name.starts_with("kernel_"))) {
    return "kernels";
  }
  if (path.starts_with("ops/") && name.starts_with("capabilities_")) return "capabilities";
  if (path.starts_with("planner/solver/")) return "planner/solver";
  return path.substr(0, path.find('/'));
}

// What the line includes; nothing where it does not, or with another bracket.
std::optional<std::string> included(std::string_view line, std::string_view brackets) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!line.starts_with("#include ")) return std::nullopt;
  line.remove_prefix(9);
  const size_t end = line.find_first_of("\">", 1);
  if (line.empty() || brackets.find(line[0]) == std::string_view::npos ||
      end == std::string_view::npos) {
    return std::nullopt;
  }
  return std::string(line.substr(1, end - 1));
}

struct Include {
  std::string from;
  std::string to;
};

std::vector<Include> includes() {
  std::vector<Include> result;
  const fs::path root = fs::path(CLEAVE_SOURCE_DIR) / "src";
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cc" && extension != ".cu") continue;
    const std::string name = entry.path().filename();
    // Tests and benchmarks may look anywhere, and so do what only they include.
    if (name.ends_with("_test.cc") || name.ends_with("bench.cc") || name == "testing.h" ||
        name.starts_with("test_")) {
      continue;
    }
    std::ifstream file(entry.path());
    std::string line;
    while (std::getline(file, line)) {
      if (const auto name_of = included(line, "\"")) {
        result.push_back({fs::relative(entry.path(), root), *name_of});
      }
    }
  }
  return result;
}

TEST(Structure, DependenciesPointOneWay) {
  const fs::path root = fs::path(CLEAVE_SOURCE_DIR) / "src";
  size_t checked = 0;
  for (const Include& include : includes()) {
    if (!fs::exists(root / include.to)) continue;  // a public or generated header
    const std::string from = layer_of(include.from);
    const std::string to = layer_of(include.to);
    ASSERT_TRUE(allowed().contains(from)) << from << " is no known layer";
    ++checked;
    if (from == to || (from == "planner" && to == "planner/solver")) continue;
    EXPECT_TRUE(allowed().at(from).contains(to))
        << "src/" << include.from << " includes " << include.to << ": " << from
        << " may not depend on " << to;
  }
  EXPECT_GT(checked, 300u);
}

TEST(Structure, PublicHeadersIncludeNoSources) {
  const fs::path root = fs::path(CLEAVE_SOURCE_DIR) / "include";
  size_t checked = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".h") continue;
    std::ifstream file(entry.path());
    std::string line;
    while (std::getline(file, line)) {
      const auto found = included(line, "\"<");
      if (!found) continue;
      const std::string& name = *found;
      ++checked;
      EXPECT_TRUE(name.starts_with("cleave/") || name.find('/') == std::string::npos)
          << entry.path() << " includes " << name;
      EXPECT_EQ(name.find(".pb.h"), std::string::npos) << entry.path();
    }
  }
  EXPECT_GT(checked, 10u);
}

TEST(Structure, EveryFolderSaysWhatItIsFor) {
  for (const auto& [layer, unused] : allowed()) {
    if (layer == "kernels") continue;
    EXPECT_TRUE(fs::exists(fs::path(CLEAVE_SOURCE_DIR) / "src" / layer / "README.md")) << layer;
  }
}

}  // namespace
