// Every device source compiles for the types and modes that its kernels put before it; no GPU is
// needed. What a source takes is said at its top.
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/modules.h"
#include "cleave/error.h"

namespace cleave::backend {
namespace {

namespace fs = std::filesystem;

constexpr int kOldest = 80;
constexpr int kNewest = 90;

using Names = std::vector<std::string>;

// The sources that are compiled together, those of the device folder first, and what stands before.
struct Case {
  Names sources;
  std::string before;

  friend void PrintTo(const Case& code, std::ostream* out) { *out << code.sources.back(); }
};

std::string type(const std::string& name) { return "using T = " + name + ";\n"; }
std::string number(const std::string& name, int64_t value) {
  return "constexpr int " + name + " = " + std::to_string(value) + ";\n";
}
std::string flag(const std::string& name, bool value) {
  return "constexpr bool " + name + (value ? " = true;\n" : " = false;\n");
}
// For what may have a function behind it.
const char* const kFinish = "__device__ inline Working<T> finish(Working<T> x) { return x; }\n";

std::string row(int64_t vector, int64_t pieces, bool whole_block, int64_t lanes = 32) {
  return number("kVector", vector) + number("kPieces", pieces) + flag("kWholeBlock", whole_block) +
         number("kLanes", lanes) + number("kThreads", whole_block ? 512 : 128);
}

void add_copies(std::vector<Case>& cases) {
  cases.push_back({{"hold"}, ""});
  for (const char* unit : {"uint8_t", "uint16_t", "uint64_t", "Vector<uint64_t, 2>"}) {
    cases.push_back({{"strided_copy"}, type(unit) + number("kRepeat", 1) + number("kPieces", 8)});
    cases.push_back({{"pad"}, type(unit) + number("kMode", 0)});
  }
  cases.push_back(
      {{"strided_copy"}, type("uint8_t") + number("kRepeat", 16) + number("kPieces", 1)});
  cases.push_back({{"transpose_tiles"}, type("uint8_t") + number("kGroup", 4)});
  cases.push_back({{"transpose_tiles"}, type("uint16_t") + number("kGroup", 2)});
  cases.push_back({{"transpose_tiles"}, type("uint64_t") + number("kGroup", 1)});
  for (int mode = 1; mode < 4; ++mode) {
    cases.push_back({{"pad"}, type("uint32_t") + number("kMode", mode)});
  }
}

void add_reductions(std::vector<Case>& cases) {
  const auto add = [&](const char* element, const char* op, bool rows, int64_t vector) {
    cases.push_back({{"reductions", "reduce"},
                     type(element) + "constexpr ReduceOp kOp = " + op + ";\n" +
                         flag("kRows", rows) + number("kVector", vector)});
  };
  add("float", "kSum", true, 4);
  add("float", "kProd", false, 1);
  add("Half", "kSum", false, 8);
  add("BFloat16", "kMax", true, 8);
  add("double", "kMin", false, 2);
  add("int64_t", "kProd", true, 2);
  add("uint8_t", "kMin", false, 8);
  add("bool", "kSum", true, 16);
  for (const char* element : {"float", "Half", "double", "int64_t", "uint8_t", "bool"}) {
    for (bool whole_block : {false, true}) {
      const std::string prefix = type(element) + flag("kWholeBlock", whole_block);
      const std::string extreme = type(element) + flag("kLargest", whole_block);
      cases.push_back({{"reductions", "arg_record", "arg_extreme"}, extreme});
      cases.push_back({{"reductions", "arg_record", "arg_extreme_parts"},
                       extreme + number("kVector", whole_block ? 2 : 1)});
      cases.push_back({{"cumsum"}, prefix + flag("kExclusive", whole_block)});
    }
  }
}

void add_rows(std::vector<Case>& cases) {
  const Names softmax = {"reductions", "row_part", "softmax_rows"};
  cases.push_back({softmax, type("float") + row(4, 4, true)});
  cases.push_back({softmax, type("Half") + row(8, 1, false, 8)});
  cases.push_back({softmax, type("BFloat16") + row(1, 16, true)});
  cases.push_back({softmax, type("double") + row(2, 8, true)});
  for (const char* element : {"float", "Half", "double"}) {
    for (bool whole_block : {false, true}) {
      cases.push_back({{"reductions", "softmax_sums", "softmax_lines"},
                       type(element) + flag("kWholeBlock", whole_block)});
    }
    cases.push_back(
        {{"reductions", "softmax_sums", "softmax_parts"}, type(element) + number("kVector", 2)});
  }
  const auto add_norm = [&](const char* element, const char* scale, bool centred, bool bias,
                            bool by_channel, bool is_long, const std::string& form) {
    cases.push_back({{"reductions", "row_part", "normalise_rows"},
                     type(element) + "using S = " + scale + ";\nusing B = " + scale + ";\n" +
                         flag("kCentred", centred) + flag("kScale", true) + flag("kBias", bias) +
                         flag("kByChannel", by_channel) + flag("kLong", is_long) + form + kFinish});
  };
  add_norm("float", "float", true, true, false, false, row(4, 2, true));
  add_norm("Half", "float", true, true, false, false, row(8, 4, false));
  add_norm("Half", "Half", false, false, false, false, row(1, 1, false, 1));
  add_norm("BFloat16", "BFloat16", false, false, false, false, row(8, 2, true));
  add_norm("double", "double", false, false, false, true, row(2, 4, true));
  add_norm("Half", "Half", true, true, true, true, row(8, 4, true));
  add_norm("float", "float", true, true, true, false, row(1, 16, true));
  for (const char* element : {"float", "Half", "double"}) {
    for (const bool one_group : {false, true}) {
      cases.push_back({{"reductions", "normalise_channels"},
                       type(element) + number("kVector", 2) +
                           number("kThreads", one_group ? 512 : 320) + number("kHeld", 4) +
                           number("kMostChunks", 128) + flag("kOneGroup", one_group) + kFinish});
    }
  }
}

void add_others(std::vector<Case>& cases) {
  for (const char* element : {"float", "Half", "double", "int8_t", "uint64_t", "bool"}) {
    const std::string order = type(element) + flag("kLargest", true);
    cases.push_back({{"reductions", "top_order", "top_k_select"}, order + number("kMost", 2048)});
    cases.push_back({{"reductions", "top_order", "top_k_sort"}, order});
    cases.push_back({{"iota"}, type(element)});
  }
  cases.push_back({{"given_bytes"}, ""});
  for (const char* element : {"float", "Half", "BFloat16", "double"}) {
    cases.push_back(
        {{"noise"}, type(element) + "__device__ inline double rounded(double v) { return v; }\n"});
  }
  const auto window = [](int rows, int columns) {
    return number("kTaps0", rows > 0 ? 1 : 0) + number("kTaps1", rows) + number("kTaps2", columns);
  };
  for (int how = 0; how < 4; ++how) {
    for (const char* element : {"float", "Half", "double"}) {
      for (const int lanes : {1, 32}) {
        for (const int taps : {0, 3}) {
          if (lanes > 1 && taps > 0) continue;
          cases.push_back({{"reductions", "pool"},
                           type(element) + "using I = int32_t;\n" + number("kHow", how) +
                               number("kLanes", lanes) +
                               number("kVector", how == 1 || lanes > 1 ? 1 : 2) +
                               flag("kDilated", how % 2 == 0) + window(taps, taps)});
        }
      }
    }
  }
  for (const int taps : {0, 5}) {
    cases.push_back({{"reductions", "pool"},
                     type("uint8_t") + "using I = int64_t;\n" + number("kHow", 0) +
                         number("kLanes", 1) + number("kVector", 16) + flag("kDilated", true) +
                         window(taps, taps)});
  }
}

void add_moves(std::vector<Case>& cases) {
  const std::string wide = type("Vector<uint64_t, 2>");
  cases.push_back({{"indices", "gather"}, wide + "using I = int64_t;\n"});
  for (bool interleaved : {false, true}) {
    for (int count : {1, 8}) {
      cases.push_back({{"rotary"},
                       type("Half") + number("kCount", count) + flag("kInterleaved", interleaved) +
                           flag("kAnglesFollow", count > 1)});
    }
  }
  for (const char* element : {"uint8_t", "float", "BFloat16", "int64_t", "bool"}) {
    for (bool replaces : {false, true}) {
      const std::string before = type(element) +
                                 "using A = Working<T>;\nusing I = int32_t;\nusing P = T;\n"
                                 "constexpr ReduceOp kReduce = kMax;\n" +
                                 flag("kReplaces", replaces);
      cases.push_back({{"indices", "scatter", "indexed_elements"}, before});
      cases.push_back({{"indices", "scatter", "indexed_rows"}, before});
    }
  }
  for (const char* element : {"float", "Half", "double"}) {
    const std::string weights = std::string(element) == "double" ? "double" : "float";
    cases.push_back({{"resize"},
                     type(element) + "using W = " + weights + ";\n" + number("kResized", 2) +
                         flag("kCopies", false)});
    cases.push_back(
        {{"indices", "roi_align"},
         type(element) + "using R = float;\nusing I = int64_t;\n" + flag("kTakesLargest", true)});
  }
  cases.push_back(
      {{"resize"},
       type("uint8_t") + "using W = float;\n" + number("kResized", 1) + flag("kCopies", true)});
  for (int mode = 0; mode < 3; ++mode) {
    cases.push_back({{"grid_sample"},
                     type("Half") + "using G = float;\n" + number("kRank", mode + 1) +
                         number("kMode", mode) + number("kChannels", 8)});
  }
}

void add_products(std::vector<Case>& cases) {
  for (const char* element : {"float", "Half", "double", "int8_t", "uint64_t"}) {
    for (const bool last : {false, true}) {
      cases.push_back(
          {{"plain_conv"}, type(element) + number("kOutputs", 4) + flag("kChannelsLast", last)});
    }
    cases.push_back({{"plain_matmul"}, type(element)});
  }
  for (const char* element : {"float", "Half", "double"}) {
    cases.push_back({{"depthwise_conv"},
                     type(element) + number("kVector", 2) + number("kPlaces", 4) +
                         number("kTaps", 7) + number("kStride", 2) + number("kDilation", 1)});
  }
  const auto attention = [](const char* element, const char* mask, bool causal) {
    return type(element) + "using M = " + mask + ";\n" + flag("kHasMask", !causal) +
           flag("kCausal", causal);
  };
  const std::string depths = number("kDepth", 128) + number("kWidth", 64) + number("kKeys", 64);
  for (bool causal : {false, true}) {
    cases.push_back({{"attention", "plain_attention"}, attention("double", "double", causal)});
    cases.push_back({{"attention", "plain_attention"}, attention("Half", "bool", causal)});
    cases.push_back({{"attention", "attention_tiles", "float_attention"},
                     attention("float", "float", causal) + number("kWidth", 64)});
    for (const char* element : {"Half", "BFloat16"}) {
      cases.push_back(
          {{"attention", "attention_tiles", "join_splits"}, attention(element, element, causal)});
      cases.push_back({{"attention", "attention_tiles", "tensor_core", "tensor_attention"},
                       attention(element, element, causal) + depths});
      cases.push_back({{"attention", "attention_bias"},
                       type(element) + "using M = " + (causal ? "bool" : element) + ";\n" +
                           flag("kHasMask", true) + flag("kCausal", causal)});
    }
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_copies(cases);
  add_reductions(cases);
  add_rows(cases);
  add_others(cases);
  add_moves(cases);
  add_products(cases);
  return cases;
}

class DeviceSource : public ::testing::TestWithParam<Case> {};

TEST_P(DeviceSource, Compiles) {
  std::string source = GetParam().before;
  for (const std::string& name : GetParam().sources) source += device_source(name);
  for (const int architecture : {kOldest, kNewest}) {
    try {
      EXPECT_FALSE(compile_for_gpu(source, architecture).empty());
    } catch (const Error& error) {
      ADD_FAILURE() << GetParam().before << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceSource, ::testing::ValuesIn(all_cases()), [](const auto& info) {
  return info.param.sources.back() + "_" + std::to_string(info.index);
});

// Of an op whose device code is compiled here, all of it is.
TEST(DeviceSources, AreWholeOps) {
  std::set<std::string> compiled;
  for (const Case& one : all_cases()) compiled.insert(one.sources.begin(), one.sources.end());
  for (const auto& op : fs::directory_iterator(fs::path(CLEAVE_SOURCE_DIR) / "src/ops")) {
    if (!op.is_directory()) continue;
    Names known, missing;
    for (const auto& file : fs::directory_iterator(op.path())) {
      if (file.path().extension() != ".cuh") continue;
      const std::string name = file.path().stem();
      (compiled.contains(name) ? known : missing).push_back(name);
    }
    if (known.empty()) continue;
    EXPECT_EQ(missing, Names()) << op.path();
  }
}

}  // namespace
}  // namespace cleave::backend
