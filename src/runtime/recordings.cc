#include "runtime/recordings.h"

#include <algorithm>

namespace cleave::runtime {
namespace {

bool equal(const Recordings::Key& a, const Recordings::Key& b) {
  return !a.program.owner_before(b.program) && !b.program.owner_before(a.program) &&
         a.memory == b.memory;
}

}  // namespace

void Recordings::run(const Key& key, StreamHandle stream, const Record& record,
                     const std::function<void()>& work) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return equal(entry.key, key); });
  if (found == entries_.end()) {
    work();
    entries_.remove_if([](const Entry& entry) { return entry.key.program.expired(); });
    entries_.push_front({key, nullptr});
    if (entries_.size() > kKept) entries_.pop_back();
    return;
  }
  entries_.splice(entries_.begin(), entries_, found);
  Entry& entry = entries_.front();
  if (!entry.recording) entry.recording = record(work);
  entry.recording->replay(stream);
}

}  // namespace cleave::runtime
