#include "runtime/weight_store.h"

#include "base/check.h"
#include "base/thread_pool.h"

namespace cleave::runtime {

WeightStore::WeightStore(std::shared_ptr<const EngineImpl> engine, int64_t rank,
                         backend::Device& device)
    : engine_(std::move(engine)),
      rank_(rank),
      device_(device),
      loaded_(engine_->data.weights.size()) {}

std::shared_ptr<const backend::Buffer> WeightStore::get(size_t weight) {
  if (auto buffer = loaded_[weight].lock()) return buffer;
  auto buffer = load(weight);
  loaded_[weight] = buffer;
  return buffer;
}

std::shared_ptr<const std::byte> WeightStore::stage(size_t weight) {
  std::shared_ptr<const backend::Buffer> loaded = loaded_[weight].lock();
  if (!loaded && !device_.memory_is_host()) loaded = get(weight);
  if (loaded) return {loaded, loaded->data()};
  const program::Weight& described = engine_->data.weights[weight];
  const uint64_t bytes = described.slices[static_cast<size_t>(rank_)].bytes;
  // Not zeroed: the pages are touched by the threads that read.
  const std::shared_ptr<std::byte[]> memory(new std::byte[bytes]);
  try {
    read(weight, {memory.get(), bytes});
  } catch (Error& error) {
    error.at("weight '" + described.name + "'");
    throw;
  }
  return {memory, memory.get()};
}

void WeightStore::read(size_t weight, std::span<std::byte> into) {
  engine_->weights->read(weight, rank_, into,
                         [&](int64_t count, const std::function<void(int64_t)>& body) {
                           device_.pool().parallel_for(count, body);
                         });
}

std::shared_ptr<const backend::Buffer> WeightStore::load(size_t weight) {
  const program::Weight& described = engine_->data.weights[weight];
  const uint64_t bytes = described.slices[static_cast<size_t>(rank_)].bytes;
  const std::string what = "weight '" + described.name + "'";
  auto buffer =
      std::make_shared<backend::Buffer>(device_.allocate(static_cast<int64_t>(bytes), what));
  if (bytes == 0) return buffer;
  try {
    if (device_.memory_is_host()) {
      read(weight, {buffer->data(), bytes});
    } else {
      const StreamHandle stream = device_.default_stream();
      uint64_t done = 0;
      engine_->weights->stream(weight, rank_, [&](std::span<const std::byte> piece) {
        CLEAVE_CHECK(piece.size() <= bytes - done, "a weight's source gives too many bytes");
        device_.copy_to_device(buffer->data() + done, piece.data(),
                               static_cast<int64_t>(piece.size()), stream);
        device_.synchronize(stream);  // the piece is gone after this
        done += piece.size();
      });
      CLEAVE_CHECK(done == bytes, "a weight's source gives too few bytes");
    }
  } catch (Error& error) {
    error.at(what);
    throw;
  }
  return buffer;
}

}  // namespace cleave::runtime
