#include "cleave/timing_cache.h"

#include <span>
#include <utility>

#include "base/file.h"
#include "runtime/timing_cache_impl.h"

namespace cleave {
namespace {

// Some hundred thousand entries.
constexpr uint64_t kMostBytes = uint64_t{64} << 20;

}  // namespace

TimingCache::TimingCache() : impl_(std::make_shared<TimingCacheImpl>()) {}
TimingCache::TimingCache(std::shared_ptr<const TimingCacheImpl> impl) : impl_(std::move(impl)) {}

TimingCache TimingCache::load(const std::filesystem::path& path) {
  auto impl = std::make_shared<TimingCacheImpl>();
  impl->table = backend::TimingTable::parse(read_file(path, kMostBytes), path.string());
  return TimingCache(std::move(impl));
}

void TimingCache::save(const std::filesystem::path& path) const {
  const std::string text = impl_->table.to_json();
  FileWriter file(path);
  file.append(std::as_bytes(std::span(text)));
  file.commit();
}

size_t TimingCache::size() const { return impl_->table.size(); }

}  // namespace cleave
