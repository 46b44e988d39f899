#include "inbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace mobius::detail {

namespace {

// The mark of a closed inbox: an address that no node has.
node* closed_mark() noexcept {
  alignas(node) static char mark;
  return reinterpret_cast<node*>(&mark);
}

}  // namespace

inbox::inbox() : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_fd_ < 0) {
    throw std::system_error(
        errno, std::generic_category(),
        "eventfd for the reactor's wake-up (raise ulimit -n if descriptors have run out)");
  }
}

inbox::~inbox() { ::close(event_fd_); }

bool inbox::push(node* n) noexcept {
  node* newest = newest_.load(std::memory_order_relaxed);
  do {
    if (newest == closed_mark()) return false;
    n->next = newest;
  } while (!newest_.compare_exchange_weak(newest, n, std::memory_order_seq_cst, std::memory_order_relaxed));
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst))
    wake();
  return true;
}

void inbox::wake() noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  // A full counter refuses the write and wakes nobody; nothing else ever reads it.
  while (::write(event_fd_, &one, sizeof one) < 0 && errno == EAGAIN) {
    std::uint64_t count;
    static_cast<void>(!::read(event_fd_, &count, sizeof count));
  }
  errno = saved;
}

void inbox::take(node_queue& out) noexcept {
  node* const newest = newest_.load(std::memory_order_relaxed);
  if (!newest || newest == closed_mark()) return;
  push_reversed(newest_.exchange(nullptr, std::memory_order_acquire), out);
}

bool inbox::prepare_sleep() noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  node* const newest = newest_.load(std::memory_order_seq_cst);
  if (!newest || newest == closed_mark()) return true;
  awake();
  return false;
}

void inbox::close(node_queue& out) noexcept {
  push_reversed(newest_.exchange(closed_mark(), std::memory_order_acquire), out);
}

void inbox::push_reversed(node* newest, node_queue& out) noexcept {
  node* oldest = nullptr;
  while (newest && newest != closed_mark()) {
    node* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    node* next = oldest->next;
    out.push(oldest);
    oldest = next;
  }
}

}  // namespace mobius::detail
