#include "runtime/rank_threads.h"

#include <pthread.h>
#include <sched.h>

namespace cleave::runtime {
namespace {

// The `rank`-th of the cores that this process may use, taken in turn. Where the system refuses,
// threads stay where they are: pinning is a matter of speed alone.
void pin_to_core(int rank) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const int cores = CPU_COUNT(&allowed);
  if (cores == 0) return;
  int skip = rank % cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    return;
  }
}

}  // namespace

RankThreads::RankThreads(int ranks, bool pin) : policy_(WaitPolicy::for_threads(ranks)) {
  for (int rank = 0; rank < ranks; ++rank) workers_.push_back(std::make_unique<Worker>());
  for (int rank = 0; rank < ranks; ++rank) {
    workers_[static_cast<size_t>(rank)]->thread = std::thread([this, rank, pin] {
      if (pin) pin_to_core(rank);
      work(rank);
    });
  }
}

RankThreads::~RankThreads() {
  ending_.store(true);
  for (auto& worker : workers_) worker->posted.add(1);
  for (auto& worker : workers_) worker->thread.join();
}

std::vector<std::exception_ptr> RankThreads::run(const std::function<void(int)>& body) {
  const auto job = std::make_shared<Job>();
  job->body = &body;
  job->thrown.resize(workers_.size());
  job->left.store(ranks());
  {
    const std::lock_guard ticket(ticket_);
    for (auto& worker : workers_) {
      {
        const std::lock_guard lock(worker->mutex);
        worker->jobs.push_back(job);
      }
      worker->posted.add(1);
    }
  }
  while (job->done.load() == 0) job->done.wait_while(0, policy_);
  return std::move(job->thrown);
}

std::shared_ptr<RankThreads::Job> RankThreads::next(Worker& worker) {
  const std::lock_guard lock(worker.mutex);
  if (worker.jobs.empty()) return nullptr;
  auto job = std::move(worker.jobs.front());
  worker.jobs.pop_front();
  return job;
}

void RankThreads::work(int rank) {
  Worker& worker = *workers_[static_cast<size_t>(rank)];
  while (true) {
    const uint32_t seen = worker.posted.load();
    if (const auto job = next(worker)) {
      try {
        (*job->body)(rank);
      } catch (...) {
        job->thrown[static_cast<size_t>(rank)] = std::current_exception();
      }
      if (job->left.fetch_sub(1) == 1) job->done.add(1);
      continue;
    }
    if (ending_.load()) return;
    worker.posted.wait_while(seen, policy_);
  }
}

}  // namespace cleave::runtime
