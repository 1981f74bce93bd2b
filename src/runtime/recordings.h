// Recordings of programs, for devices that replay one faster than its instructions are put on a
// stream one by one.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "backend/device.h"

namespace cleave::runtime {

// One rank's of one context. Used by the rank's thread.
class Recordings {
 public:
  // How many are kept; the one used longest ago goes first.
  static constexpr size_t kKept = 32;

  // What a recording refers to: it holds for just these.
  struct Key {
    std::weak_ptr<const void> program;  // not owned: a program that is gone is never run again
    std::vector<const std::byte*> memory;
  };

  // Device::record, for a stream.
  using Record =
      std::function<std::unique_ptr<backend::Recording>(const std::function<void()>& work)>;

  // Puts `work` on the stream. It is done directly the first time, when kernels may still set up
  // what a recording must not; recorded the second time; and replayed from then on.
  void run(const Key& key, StreamHandle stream, const Record& record,
           const std::function<void()>& work);
  void clear() { entries_.clear(); }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Key key;
    std::unique_ptr<backend::Recording> recording;  // null: run once so far
  };
  std::list<Entry> entries_;  // the one used last comes first
};

}  // namespace cleave::runtime
