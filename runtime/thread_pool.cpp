#include "thread_pool.hpp"

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace mobius::detail {

// Shared with the threads, so that one that hangs in an abandoned job may outlive the reactor.
struct thread_pool::shared {
  struct worker {
    std::thread thread;
    bool abandonable = false;  // runs a job that shutdown does not wait for
  };

  std::shared_ptr<detail::inbox> results;
  unsigned limit;

  std::mutex mutex;
  std::condition_variable changed;
  job* first = nullptr;
  job** last = &first;
  std::vector<std::unique_ptr<worker>> workers;
  std::size_t idle = 0;
  std::size_t queued = 0;
  bool closing = false;

  job* take() noexcept {
    job* j = first;
    first = j->next_job_;
    if (!first) last = &first;
    --queued;
    return j;
  }

  void serve(worker& self) {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      changed.wait(lock, [this] { return first || closing; });
      --idle;
      if (!first) return;
      job* j = take();
      self.abandonable = j->abandonable_;
      lock.unlock();
      j->work_(j);
      // Before the result is seen: from then on the pool may end, and joins this thread.
      lock.lock();
      self.abandonable = false;
      lock.unlock();
      // A reactor that has ended takes nothing more: what nobody waits for is freed here.
      if (!results->push(j)) j->run(j);
      lock.lock();
    }
  }
};

thread_pool::thread_pool(reactor& r) : thread_pool(r, r.options().max_threads) {}

thread_pool::thread_pool(reactor& r, unsigned limit) : shared_(std::make_shared<shared>()) {
  shared_->results = r.inbox();
  shared_->limit = std::max(1U, limit);
}

void thread_pool::limit(unsigned threads) noexcept {
  const std::lock_guard lock(shared_->mutex);
  shared_->limit = std::max(1U, threads);
}

thread_pool::~thread_pool() {
  std::vector<std::unique_ptr<shared::worker>> workers;
  job* not_begun = nullptr;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closing = true;
    not_begun = std::exchange(shared_->first, nullptr);
    shared_->last = &shared_->first;
    shared_->queued = 0;
    workers = std::move(shared_->workers);
    for (auto& w : workers) {
      if (!w->abandonable) continue;
      w->thread.detach();
      // The thread still writes to its worker; it is freed with the shared state.
      shared_->workers.push_back(std::move(w));
    }
  }
  shared_->changed.notify_all();
  for (auto& w : workers) {
    if (w) w->thread.join();
  }
  // They tell that they were never begun; whoever hears that may do as he likes.
  while (job* j = not_begun) {
    not_begun = j->next_job_;
    j->run(j);
  }
}

void thread_pool::submit(job& j) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->queued >= shared_->idle && shared_->workers.size() < shared_->limit) {
    shared_->workers.reserve(shared_->workers.size() + 1);  // nothing can fail once the thread runs
    auto added = std::make_unique<shared::worker>();
    // Signals are for the reactor's thread.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      added->thread = std::thread([state = shared_, self = added.get()] { state->serve(*self); });
      shared_->workers.push_back(std::move(added));
    } catch (const std::bad_alloc&) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    } catch (const std::system_error& error) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (shared_->workers.empty()) {
        throw std::system_error(error.code(), "offload: no thread can be started (raise ulimit -u)");
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  j.next_job_ = nullptr;
  *shared_->last = &j;
  shared_->last = &j.next_job_;
  ++shared_->queued;
  shared_->changed.notify_one();
}

bool thread_pool::withdraw(job& j) noexcept {
  const std::lock_guard lock(shared_->mutex);
  for (job** link = &shared_->first; *link; link = &(*link)->next_job_) {
    if (*link != &j) continue;
    *link = j.next_job_;
    if (!*link) shared_->last = link;
    --shared_->queued;
    return true;
  }
  return false;
}

}  // namespace mobius::detail
