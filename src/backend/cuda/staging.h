// Staging: memory of the host that a GPU reads and writes by itself. While it copies from or to one
// slot, threads work on others.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>

namespace cleave::backend {

// Of one device, which is current in every thread that calls. Slots are made when they are needed
// and stay. Functions may be called by several threads at once.
class Staging {
 public:
  // `slots`: more than threads that fill at once, so that no thread waits for its own copy.
  explicit Staging(int slots);
  ~Staging();  // nothing may be on its way
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  class Slot {
   public:
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot();
    std::span<std::byte> reserve(size_t bytes);
    // Puts the copy of the first `bytes` on the stream.
    void copy(void* to, size_t bytes, cudaStream_t stream);
    // What lies at `from` when the stream has come here.
    std::span<const std::byte> fetch(const void* from, size_t bytes, cudaStream_t stream);
    bool is_done() const;  // whether all copies from and to it are
    void wait() const;     // until they are

   private:
    friend class Staging;
    Slot();
    cudaEvent_t copied_ = nullptr;
    void* data_ = nullptr;
    size_t bytes_ = 0;
  };

  // Calls `use` with a slot that nothing is copied from any more.
  template <class Use>
  void with_slot(Use&& use) {
    Lease lease{*this, take()};
    lease.slot->wait();
    use(*lease.slot);
  }

 private:
  struct Lease {
    Staging& staging;
    std::unique_ptr<Slot> slot;
    ~Lease() { staging.put_back(std::move(slot)); }
  };
  std::unique_ptr<Slot> take();
  void put_back(std::unique_ptr<Slot> slot);

  const int most_;
  std::mutex mutex_;
  int made_ = 0;
  std::deque<std::unique_ptr<Slot>> free_;  // the one copied from longest ago comes first
};

}  // namespace cleave::backend
