#include "comm/nccl/peer_memory.h"

#include <algorithm>

#include "comm/nccl/check.h"

namespace cleave::nccl {
namespace {

// Whether `holds(from, to)` for each device and each other one.
template <class Holds>
bool for_all_pairs(const std::vector<int>& devices, Holds&& holds) {
  for (const int from : devices) {
    for (const int to : devices) {
      if (from != to && !holds(from, to)) return false;
    }
  }
  return true;
}

bool has_native_atomics(int from, int to) {
  int has = 0;
  const cudaError_t status =
      cudaDeviceGetP2PAttribute(&has, cudaDevP2PAttrNativeAtomicSupported, from, to);
  if (status != cudaSuccess) cudaGetLastError();  // the next call is not to blame
  return status == cudaSuccess && has != 0;
}

// At least half of a slot is payload.
int64_t slot_bytes_for(int64_t flagged_bytes, size_t ranks) {
  const int64_t payload = flagged_bytes / std::max<int64_t>(1, static_cast<int64_t>(ranks) - 1);
  return 2 * (payload / kMessageAlignment + 1) * kMessageAlignment;
}

// Gives each device access to the memory that the others have, of which `blocks` is a part. What
// has been given before, by whom ever, is left: a pointer says whether the current device reaches
// it. (Asking for it again is an error that tools report.)
void enable_access(const std::vector<int>& devices, const std::vector<DeviceMemory>& blocks) {
  for (const int from : devices) {
    cuda_check(cudaSetDevice(from), "choosing the device");
    for (size_t to = 0; to < devices.size(); ++to) {
      if (from == devices[to]) continue;
      cudaPointerAttributes block = {};
      cuda_check(cudaPointerGetAttributes(&block, blocks[to].data()), "asking for a GPU's access");
      if (block.devicePointer != nullptr) continue;
      const cudaError_t status = cudaDeviceEnablePeerAccess(devices[to], 0);
      if (status == cudaErrorPeerAccessAlreadyEnabled) {
        cudaGetLastError();  // another thread has been faster
      } else {
        cuda_check(status, "giving a GPU access to another's memory");
      }
    }
  }
}

void fill_with_zeros(const DeviceMemory& memory) {
  const PrivateStream stream;
  cuda_check(cudaMemsetAsync(memory.data(), 0, static_cast<size_t>(memory.bytes()), stream.get()),
             "clearing memory");
  cuda_check(cudaStreamSynchronize(stream.get()), "clearing memory");
}

}  // namespace

PeerBlocks::~PeerBlocks() {
  if (stop != nullptr) cudaFreeHost(stop);
}

std::unique_ptr<PeerBlocks> PeerStore::take(const std::vector<int>& devices, int64_t slot_bytes) {
  const std::lock_guard lock(mutex_);
  const auto fits = [&](const Kept& kept) {
    return kept.devices == devices && kept.slot_bytes == slot_bytes;
  };
  const auto found = std::find_if(kept_.begin(), kept_.end(), fits);
  if (found == kept_.end()) return nullptr;
  auto blocks = std::move(found->blocks);
  kept_.erase(found);
  return blocks;
}

void PeerStore::put_back(const std::vector<int>& devices, int64_t slot_bytes,
                         std::unique_ptr<PeerBlocks> blocks) {
  Kept oldest;  // goes when the lock is released
  const std::lock_guard lock(mutex_);
  if (kept_.size() == kMost) {
    oldest = std::move(kept_.front());
    kept_.erase(kept_.begin());
  }
  kept_.push_back({devices, slot_bytes, std::move(blocks)});
}

size_t PeerStore::size() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

PeerMemory::PeerMemory(std::vector<int> devices, int64_t flagged_bytes,
                       const std::function<bool(int from, int to)>& can_reach,
                       std::shared_ptr<PeerStore> store)
    : devices_(std::move(devices)),
      slot_bytes_(slot_bytes_for(flagged_bytes, devices_.size())),
      reachable_(devices_.size() > 1 && devices_.size() <= kMostPeers &&
                 for_all_pairs(devices_, can_reach)),
      takes_flagged_(reachable_ && for_all_pairs(devices_, has_native_atomics)),
      store_(std::move(store)) {}

const PeerView& PeerMemory::view(int rank) {
  if (!made_.load(std::memory_order_acquire)) make();
  return views_[static_cast<size_t>(rank)];
}

void PeerMemory::make() {
  const std::lock_guard lock(mutex_);
  if (made_.load()) return;
  if (store_) memory_ = store_->take(devices_, slot_bytes_);
  if (!memory_) memory_ = new_blocks();
  say_stop(stopped_);
  const auto ranks = static_cast<int>(devices_.size());
  PeerView view{
      .rank = 0, .ranks = ranks, .at = {}, .slot_bytes = slot_bytes_, .stop = memory_->stop};
  for (const DeviceMemory& block : memory_->blocks) view.at[view.rank++] = block.data();
  for (int rank = 0; rank < ranks; ++rank) {
    view.rank = rank;
    views_.push_back(view);
  }
  made_.store(true, std::memory_order_release);
}

std::unique_ptr<PeerBlocks> PeerMemory::new_blocks() const {
  const RecordingPause pause;
  const DeviceGuard device(devices_.front());
  auto memory = std::make_unique<PeerBlocks>();
  void* word = nullptr;
  cuda_check(
      cudaHostAlloc(&word, sizeof *memory->stop, cudaHostAllocPortable | cudaHostAllocMapped),
      "allocating a word for GPUs to look at");
  memory->stop = static_cast<uint32_t*>(word);
  const auto ranks = static_cast<int64_t>(devices_.size());
  for (const int number : devices_) {
    cuda_check(cudaSetDevice(number), "choosing the device");
    memory->blocks.emplace_back(kSlotsAt + 2 * ranks * slot_bytes_);
    fill_with_zeros(memory->blocks.back());
    load_flagged_reduce();
    load_direct_reduce();
    load_scatter_reduce();
    load_exchanges();
  }
  enable_access(devices_, memory->blocks);
  return memory;
}

void PeerMemory::stop() noexcept {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  say_stop(true);
}

void PeerMemory::clear() {
  const std::lock_guard lock(mutex_);
  if (made_.load()) {
    const DeviceGuard device(devices_.front());
    for (size_t rank = 0; rank < devices_.size(); ++rank) {
      cuda_check(cudaSetDevice(devices_[rank]), "choosing the device");
      fill_with_zeros(memory_->blocks[rank]);
    }
  }
  stopped_ = false;
  say_stop(false);
}

void PeerMemory::leave() {
  const std::lock_guard lock(mutex_);
  if (!store_ || !made_.exchange(false)) return;
  views_.clear();
  store_->put_back(devices_, slot_bytes_, std::move(memory_));
}

void PeerMemory::say_stop(bool stop) {
  if (memory_) std::atomic_ref(*memory_->stop).store(stop ? 1 : 0);
}

}  // namespace cleave::nccl
