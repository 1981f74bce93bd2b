// TimingCache: which kernel, with which algorithm, is fastest for which work, as tuning found it on
// some machines.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

namespace cleave {

struct TimingCacheImpl;

// A value; copies share the entries, which are never changed. Safe to use from several threads.
//
// An entry holds for one backend, kind of processor, number of threads, op with its attributes, and
// types, shapes and strides of operands, constants apart: it is used where all of them agree, and
// does no harm elsewhere. A kernel that is named but is not there, or refuses the work, is passed
// over; so is an algorithm that the library in use does not have.
class TimingCache {
 public:
  TimingCache();  // empty

  // Reads a file that `save` wrote. Error(kInvalid) where it cannot be read or is no timing cache.
  static TimingCache load(const std::filesystem::path& path);
  // Writes the file (JSON), or leaves what was there. Equal caches give equal bytes.
  // Error(kInvalid) where it cannot be written.
  void save(const std::filesystem::path& path) const;

  size_t size() const;  // entries

  explicit TimingCache(std::shared_ptr<const TimingCacheImpl> impl);
  const std::shared_ptr<const TimingCacheImpl>& impl() const { return impl_; }

 private:
  std::shared_ptr<const TimingCacheImpl> impl_;  // never null
};

}  // namespace cleave
