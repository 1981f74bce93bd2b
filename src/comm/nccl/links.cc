#include "comm/nccl/links.h"

#include <chrono>
#include <cstdlib>

#include "comm/nccl/check.h"
#include "comm/nccl/memory.h"
#include "comm/nccl/stream_wait.h"

namespace cleave::nccl {
namespace {

constexpr auto kConnectLimit = std::chrono::seconds(60);

// How long a failed rank's thread may stay inside of NCCL before its communicator is aborted under
// it: it does not wait for other ranks there, as all are connected beforehand.
constexpr auto kLeaveLimit = std::chrono::seconds(2);

// NCCL reads its settings when it is first used; those that the user has made are left alone.
// Multicast over NVLink is off: a program that ends within it can leave the links of all GPUs of a
// host unusable. Connections are made at the start and not by the first call that needs them, in
// which a rank would wait on the host for others that may have failed.
void set_defaults() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("NCCL_NVLS_ENABLE", "0", 0);
    ::setenv("NCCL_RUNTIME_CONNECT", "0", 0);
  });
}

}  // namespace

Links::Links(std::vector<int> devices) : devices_(std::move(devices)), ends_(devices_.size()) {}

Links::~Links() {
  if (reaper_.joinable()) reaper_.join();
  for (End& end : ends_) {
    if (end.communicator != nullptr) ncclCommDestroy(end.communicator);
  }
}

void Links::make() {
  const std::lock_guard lock(make_mutex_);
  if (made_.load() || aborted_.load()) return;
  const RecordingPause pause;
  const DeviceGuard device(devices_.front());
  set_defaults();
  ncclUniqueId id;
  nccl_check(ncclGetUniqueId(&id), "starting a group");
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 1;
  const auto ranks = static_cast<int>(devices_.size());
  nccl_check(ncclGroupStart(), "starting a group");
  ncclResult_t status = ncclSuccess;
  for (int rank = 0; rank < ranks && status == ncclSuccess; ++rank) {
    const auto r = static_cast<size_t>(rank);
    cuda_check(cudaSetDevice(devices_[r]), "choosing the device");
    status = ncclCommInitRankConfig(&ends_[r].communicator, ranks, id, rank, &config);
  }
  const ncclResult_t ended = ncclGroupEnd();
  try {
    nccl_check(status != ncclSuccess ? status : ended, "connecting GPUs");
    connect();
  } catch (...) {
    give_up();
    throw;
  }
  made_.store(true, std::memory_order_release);
}

// Every pair of ranks exchanges a word, which connects them for good.
void Links::connect() {
  const size_t ranks = devices_.size();
  std::vector<DeviceMemory> words;
  std::vector<PrivateStream> streams;
  for (size_t r = 0; r < ranks; ++r) {
    cuda_check(cudaSetDevice(devices_[r]), "choosing the device");
    words.emplace_back(static_cast<int64_t>(sizeof(int) * (ranks + 1)));
    streams.emplace_back();
  }
  nccl_check(ncclGroupStart(), "connecting GPUs");
  ncclResult_t status = ncclSuccess;
  const auto note = [&](ncclResult_t result) {
    if (status == ncclSuccess) status = result;
  };
  for (size_t r = 0; r < ranks; ++r) {
    auto* word = reinterpret_cast<int*>(words[r].data());
    for (size_t peer = 0; peer < ranks; ++peer) {
      if (peer == r) continue;
      const auto p = static_cast<int>(peer);
      note(ncclSend(word, 1, ncclInt, p, ends_[r].communicator, streams[r].get()));
      note(ncclRecv(word + 1 + peer, 1, ncclInt, p, ends_[r].communicator, streams[r].get()));
    }
  }
  note(ncclGroupEnd());
  nccl_check(status, "connecting GPUs");
  for (const PrivateStream& stream : streams) {
    const auto stop = [&] { return aborted_.load(); };
    if (poll_stream(stream.get(), kConnectLimit, stop)) continue;
    give_up();  // before the memory goes, which waits for what uses it
    if (stop()) throw Interrupted{};
    throw Error(ErrorCode::kDevice, "the GPUs do not reach each other through NCCL",
                "set NCCL_DEBUG=WARN to see the cause; NCCL_P2P_DISABLE=1 may go round it");
  }
}

void Links::abort() noexcept {
  if (aborted_.exchange(true)) return;
  try {
    reaper_ = std::thread([this] {
      const std::lock_guard lock(make_mutex_);
      give_up();
    });
  } catch (...) {
    // No thread was to be had: calls throw all the same, but what is on the streams may not end.
  }
}

// A communicator's abort makes its kernels end; the last one's may last until no recording refers
// to the group.
void Links::give_up() {
  for (End& end : ends_) {
    const bool locked = end.in_use.try_lock_for(kLeaveLimit);
    if (end.communicator != nullptr) ncclCommAbort(end.communicator);
    end.communicator = nullptr;
    if (locked) end.in_use.unlock();
  }
}

ncclResult_t Links::asynchronous_error(int rank) {
  End& end = ends_[static_cast<size_t>(rank)];
  const std::unique_lock lock(end.in_use, std::try_to_lock);
  ncclResult_t status = ncclSuccess;
  if (!lock.owns_lock() || aborted_.load() || !made_.load() || end.communicator == nullptr) {
    return ncclSuccess;
  }
  return ncclCommGetAsyncError(end.communicator, &status) == ncclSuccess ? status : ncclSuccess;
}

}  // namespace cleave::nccl
