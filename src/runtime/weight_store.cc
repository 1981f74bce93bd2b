#include "runtime/weight_store.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/check.h"
#include "program/weight_source.h"

namespace cleave::runtime {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::vector<backend::HostPiece> pieces_at(std::byte* to, const std::vector<uint64_t>& sizes) {
  std::vector<backend::HostPiece> pieces;
  for (const uint64_t size : sizes) {
    pieces.push_back({to, static_cast<int64_t>(size)});
    to += size;
  }
  return pieces;
}

}  // namespace

WeightStore::WeightStore(std::shared_ptr<const EngineImpl> engine, int64_t rank,
                         backend::Device& device)
    : engine_(std::move(engine)),
      rank_(rank),
      device_(device),
      loaded_(engine_->data.weights.size()) {}

std::shared_ptr<const backend::Buffer> WeightStore::get(size_t weight) {
  if (auto buffer = loaded_[weight].lock()) return buffer;
  const auto start = SteadyClock::now();
  const program::Weight& described = engine_->data.weights[weight];
  const uint64_t bytes = described.slices[static_cast<size_t>(rank_)].bytes;
  auto buffer = std::make_shared<backend::Buffer>(
      device_.allocate(static_cast<int64_t>(bytes), "weight '" + described.name + "'"));
  if (bytes > 0) fill(weight, buffer->data());
  loads_.seconds += seconds_since(start);
  loaded_[weight] = buffer;
  return buffer;
}

std::shared_ptr<const std::byte> WeightStore::stage(size_t weight) {
  std::shared_ptr<const backend::Buffer> loaded = loaded_[weight].lock();
  if (!loaded && !device_.memory_is_host()) loaded = get(weight);
  if (loaded) return {loaded, loaded->data()};
  const program::Weight& described = engine_->data.weights[weight];
  const auto start = SteadyClock::now();
  // Not zeroed: the pages are touched by the threads that read.
  const std::shared_ptr<std::byte[]> memory(
      new std::byte[described.slices[static_cast<size_t>(rank_)].bytes]);
  fill(weight, memory.get());
  loads_.seconds += seconds_since(start);
  return {memory, memory.get()};
}

WeightLoad WeightStore::loads() {
  if (!device_.memory_is_host()) {
    const auto start = SteadyClock::now();
    device_.synchronize(device_.default_stream());
    if (loads_.bytes > 0) loads_.seconds += seconds_since(start);
  }
  return loads_;
}

void WeightStore::fill(size_t weight, std::byte* to) {
  const program::Weight& described = engine_->data.weights[weight];
  const auto bytes = static_cast<int64_t>(described.slices[static_cast<size_t>(rank_)].bytes);
  try {
    described.is_noise() ? make(weight, to) : upload(weight, to);
  } catch (Error& error) {
    error.at("weight '" + described.name + "'");
    throw;
  }
  loads_.bytes += bytes;
  if (described.is_noise()) loads_.noise_bytes += bytes;
}

void WeightStore::upload(size_t weight, std::byte* to) {
  const program::WeightSource& source = *engine_->weights;
  const std::vector<uint64_t> sizes = source.pieces(weight, rank_);
  CLEAVE_CHECK(std::reduce(sizes.begin(), sizes.end()) ==
                   engine_->data.weights[weight].slices[static_cast<size_t>(rank_)].bytes,
               "a weight's source gives another number of bytes");
  device_.upload(
      pieces_at(to, sizes),
      [&](size_t piece, std::span<std::byte> into) { source.read(weight, rank_, piece, into); },
      device_.default_stream());
}

void WeightStore::make(size_t weight, std::byte* to) {
  const program::Weight& described = engine_->data.weights[weight];
  const auto rank = static_cast<size_t>(rank_);
  const Noise& noise = described.noise[rank];
  const std::vector<int64_t>& shape = described.shapes[rank];
  const StreamHandle stream = device_.default_stream();
  if (device_.make_noise(noise, shape, to, stream)) return;
  // Pieces of whole elements, small enough for all threads to have some.
  constexpr uint64_t kMadeAtOnce = uint64_t{1} << 20;
  std::vector<uint64_t> sizes;
  for (uint64_t left = described.slices[rank].bytes; left > 0; left -= sizes.back()) {
    sizes.push_back(std::min(left, kMadeAtOnce));
  }
  const uint64_t elements = kMadeAtOnce / size_of(described.dtype);
  device_.upload(
      pieces_at(to, sizes),
      [&](size_t piece, std::span<std::byte> into) {
        make_noise(noise, shape, static_cast<int64_t>(piece * elements), into);
      },
      stream);
}

}  // namespace cleave::runtime
