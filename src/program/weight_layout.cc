#include "program/weight_layout.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"

namespace cleave::program {
namespace {

uint64_t round_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// What a slice holds: name of its content, and size.
using Content = std::pair<uint64_t, uint64_t>;

struct Holders {
  int64_t first_rank = 0;
  bool several = false;
};

}  // namespace

uint64_t slice_bytes(const Weight& weight, size_t rank) {
  int64_t bytes = static_cast<int64_t>(size_of(weight.dtype));
  for (const int64_t extent : weight.shapes[rank]) {
    if (extent < 0) throw Error(ErrorCode::kInvalid, "a weight has a negative extent");
    bytes = checked_mul(bytes, extent);
  }
  return static_cast<uint64_t>(bytes);
}

void lay_out_weights(EngineData& data, const std::vector<std::vector<uint64_t>>& content) {
  const auto ranks = static_cast<size_t>(data.ranks);
  CLEAVE_CHECK(content.size() == data.weights.size(), "content of each weight must be named");
  std::map<Content, Holders> holders;
  for (size_t w = 0; w < data.weights.size(); ++w) {
    CLEAVE_CHECK(content[w].size() == ranks && data.weights[w].shapes.size() == ranks,
                 "a weight needs a shape and a content by rank");
    data.weights[w].slices.assign(ranks, {});
    if (data.weights[w].is_noise()) continue;
    for (size_t r = 0; r < ranks; ++r) {
      const Content key(content[w][r], slice_bytes(data.weights[w], r));
      const auto [it, added] = holders.try_emplace(key, Holders{static_cast<int64_t>(r), false});
      if (!added && it->second.first_rank != static_cast<int64_t>(r)) it->second.several = true;
    }
  }

  uint64_t end = 0;
  std::map<Content, uint64_t> placed;
  const auto place = [&](const Content& key) {
    if (key.second == 0 || !placed.try_emplace(key, round_up(end, kSliceAlignment)).second) return;
    end = round_up(end, kSliceAlignment) + key.second;
  };
  // Pass -1 places what several ranks hold, pass r what only rank r does.
  for (int64_t pass = -1; pass < data.ranks; ++pass) {
    end = round_up(end, kShareAlignment);
    for (size_t w = 0; w < data.weights.size(); ++w) {
      if (data.weights[w].is_noise()) continue;
      for (size_t r = 0; r < ranks; ++r) {
        const Content key(content[w][r], slice_bytes(data.weights[w], r));
        const Holders& held = holders.at(key);
        if ((held.several ? -1 : held.first_rank) == pass) place(key);
      }
    }
  }
  for (size_t w = 0; w < data.weights.size(); ++w) {
    for (size_t r = 0; r < ranks; ++r) {
      const Content key(content[w][r], slice_bytes(data.weights[w], r));
      const bool is_stored = key.second != 0 && !data.weights[w].is_noise();
      data.weights[w].slices[r] = {is_stored ? placed.at(key) : 0, key.second};
    }
  }
}

uint64_t weights_end(const EngineData& data) {
  uint64_t end = 0;
  for (const Weight& weight : data.weights) {
    if (weight.is_noise()) continue;
    for (const WeightSlice& slice : weight.slices) end = std::max(end, slice.offset + slice.bytes);
  }
  return end;
}

std::vector<StoredSlice> stored_slices(const EngineData& data) {
  std::vector<StoredSlice> all;
  for (size_t w = 0; w < data.weights.size(); ++w) {
    if (data.weights[w].is_noise()) continue;
    for (size_t r = 0; r < data.weights[w].slices.size(); ++r) {
      const WeightSlice& slice = data.weights[w].slices[r];
      if (slice.bytes != 0) all.push_back({slice, w, static_cast<int64_t>(r)});
    }
  }
  const auto key = [](const StoredSlice& s) { return std::pair(s.slice.offset, s.slice.bytes); };
  std::stable_sort(all.begin(), all.end(),
                   [&](const StoredSlice& a, const StoredSlice& b) { return key(a) < key(b); });
  all.erase(
      std::unique(all.begin(), all.end(),
                  [&](const StoredSlice& a, const StoredSlice& b) { return key(a) == key(b); }),
      all.end());
  return all;
}

std::vector<int64_t> weight_bytes_by_rank(const EngineData& data) {
  std::vector<int64_t> bytes(static_cast<size_t>(data.ranks), 0);
  for (const Weight& weight : data.weights) {
    for (size_t r = 0; r < weight.slices.size() && r < bytes.size(); ++r) {
      bytes[r] += static_cast<int64_t>(weight.slices[r].bytes);
    }
  }
  return bytes;
}

std::vector<int64_t> instruction_weight_bytes_by_rank(const EngineData& data) {
  std::vector<int64_t> most(static_cast<size_t>(data.ranks), 0);
  const auto look_at = [&](const Instruction& instruction) {
    std::set<uint32_t> read;
    for (const Operand& input : instruction.inputs) {
      if (input.space == Space::kWeight) read.insert(input.index);
    }
    for (size_t r = 0; r < most.size(); ++r) {
      int64_t bytes = 0;
      for (const uint32_t w : read) bytes += static_cast<int64_t>(data.weights[w].slices[r].bytes);
      most[r] = std::max(most[r], bytes);
    }
  };
  for (const Program& program : data.programs) {
    for (const Segment& segment : program.segments) {
      for (const Instruction& instruction : segment.instructions) look_at(instruction);
    }
  }
  return most;
}

}  // namespace cleave::program
