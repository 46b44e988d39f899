#include "ring.hpp"

#include <sys/resource.h>
#include <sys/utsname.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace mobius::detail {

namespace {

constexpr unsigned with_sizes = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

// Best first; a kernel that does not know a flag says EINVAL. Disabled rings are enabled in the
// thread that runs the loop, as SINGLE_ISSUER would otherwise bind them to their creator.
// Never NO_SQARRAY: liburing before 2.6 then overwrites the queue's head and tail.
constexpr std::array flag_rows{
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED | with_sizes,  // 6.1
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED | with_sizes,                            // 6.0
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | with_sizes,  // 5.19
    IORING_SETUP_SUBMIT_ALL | with_sizes,                                                          // 5.18
    with_sizes,                                                                                    // 5.15
};

constexpr unsigned needed_features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP |
                                     IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG;

int set_up(io_uring& ring, unsigned submission_entries, unsigned completion_entries) {
  int error = -EINVAL;
  for (const unsigned flags : flag_rows) {
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = completion_entries;
    error = io_uring_queue_init_params(submission_entries, &ring, &params);
    if (error != -EINVAL) return error;
  }
  return error;
}

// Thread ids and addresses are used again by later threads; these numbers are not.
std::uint64_t thread_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  thread_local const std::uint64_t mine = ++last;
  return mine;
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool seccomp_filtered() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp:")) return line.find('2') != std::string::npos;
  }
  return false;
}

std::string kernel_release() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "unknown";
}

std::string permission_text() {
  const std::string sysctl = first_line("/proc/sys/kernel/io_uring_disabled");
  if (sysctl == "1" || sysctl == "2") {
    return "disabled by kernel.io_uring_disabled=" + sysctl +
           " (sysctl -w kernel.io_uring_disabled=0, or add the group to kernel.io_uring_group)";
  }
  if (seccomp_filtered()) {
    return "blocked by the container's seccomp profile (docker: --security-opt seccomp=unconfined, or a "
           "profile "
           "that allows the three io_uring calls)";
  }
  return "denied";
}

}  // namespace

std::string ring_refusal(int error, unsigned entries) {
  const std::string head = "io_uring: ";
  switch (error) {
    case ENOSYS:
      return head + "not provided by this kernel (" + kernel_release() + ") or hidden by a seccomp filter" +
             (seccomp_filtered() ? " [Seccomp: 2 in /proc/self/status]" : "") +
             "; mobius needs Linux 5.15 or newer with io_uring allowed";
    case EPERM:
      return head + permission_text();
    case EACCES:
      return head + "denied by a security module (SELinux or AppArmor: allow io_uring for this program)";
    case ENOMEM: {
      rlimit limit{};
      getrlimit(RLIMIT_MEMLOCK, &limit);
      return head + "ring of " + std::to_string(entries) + " entries refused: RLIMIT_MEMLOCK is " +
             std::to_string(limit.rlim_cur / 1024) +
             " KiB (raise it: ulimit -l, LimitMEMLOCK= in systemd, --ulimit memlock= in docker)";
    }
    case EMFILE:
    case ENFILE:
      return head + "no file descriptor is left for the ring (raise it: ulimit -n, LimitNOFILE= in systemd)";
    case EINVAL:
      return head + "this kernel (" + kernel_release() + ") is too old; mobius needs Linux 5.15 or newer";
    default:
      return head + "the ring could not be set up";
  }
}

ring::ring(unsigned submission_entries, unsigned completion_entries) {
  // ENOMEM is ordinary where RLIMIT_MEMLOCK is small: rings are charged to it per user.
  int error = set_up(ring_, submission_entries, completion_entries);
  while (error == -ENOMEM && submission_entries > 64) {
    submission_entries /= 2;
    completion_entries /= 2;
    error = set_up(ring_, submission_entries, completion_entries);
  }
  // The kernel gives the memory of closed rings back some 20 ms later.
  for (int i = 0; error == -ENOMEM && i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    error = set_up(ring_, submission_entries, completion_entries);
  }
  if (error == 0 && (ring_.features & needed_features) != needed_features) {
    io_uring_queue_exit(&ring_);
    error = -EINVAL;
  }
  if (error < 0) {
    throw std::system_error(-error, std::generic_category(), ring_refusal(-error, submission_entries));
  }
  // A child would submit through its parent's queue.
  io_uring_ring_dontfork(&ring_);
  if (ring_.features & abi::feature_no_iowait) enter_flags_ = abi::enter_no_iowait;
}

ring::~ring() {
  // The registration is the owner's; in another thread its index may mean another ring.
  if (registered_ && usable_here()) io_uring_unregister_ring_fd(&ring_);
  io_uring_queue_exit(&ring_);
}

bool ring::usable_here() const noexcept { return !enabled_ || owner_ == thread_number(); }

void ring::enable() {
  if (!usable_here()) {
    throw std::logic_error(
        "reactor: its ring belongs to another thread; run a reactor, and destroy it with operations in "
        "flight, in the thread that ran it first");
  }
  if (enabled_) return;
  if (ring_.flags & IORING_SETUP_R_DISABLED) {
    // liburing.so 2.3 does not export io_uring_enable_rings.
    const int error =
        io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (error < 0) throw std::system_error(-error, std::generic_category(), ring_refusal(-error, 0));
  }
  // At most 16 a task can be registered; without it each enter looks the descriptor up.
  registered_ = io_uring_register_ring_fd(&ring_) == 1;
  enabled_ = true;
  owner_ = thread_number();
}

// ThreadSanitizer does not see liburing map and unmap the queues, and would take an entry of this
// ring for one of an earlier ring, of another thread, at the same address.
__attribute__((no_sanitize("thread"))) bool ring::prepare(const request& r,
                                                          std::uint64_t user_data) noexcept {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (!entry) return false;
  entry->opcode = r.opcode;
  entry->flags = r.entry_flags;
  entry->ioprio = r.priority;
  entry->fd = r.fd;
  entry->off = r.offset;
  entry->addr = r.address;
  entry->len = r.length;
  entry->rw_flags = static_cast<__kernel_rwf_t>(r.op_flags);
  entry->user_data = user_data;
  entry->buf_group = r.buffer_group;
  entry->personality = 0;
  entry->file_index = 0;
  entry->addr3 = 0;
  entry->__pad2[0] = 0;
  return true;
}

unsigned ring::unsubmitted() const noexcept {
  return ring_.sq.sqe_tail - std::atomic_ref(*ring_.sq.khead).load(std::memory_order_acquire);
}

int ring::enter(unsigned wait, std::optional<std::chrono::nanoseconds> timeout) {
  const unsigned to_submit = unsubmitted();
  if (faults_ && faults_->on_enter) {
    if (const int injected = faults_->on_enter(to_submit, wait); injected < 0) return injected;
  }
  std::atomic_ref(*ring_.sq.ktail).store(ring_.sq.sqe_tail, std::memory_order_release);
  ring_.sq.sqe_head = ring_.sq.sqe_tail;

  __kernel_timespec time{};
  abi::getevents_arg argument{};
  if (timeout) {
    time.tv_sec = timeout->count() / 1'000'000'000;
    time.tv_nsec = timeout->count() % 1'000'000'000;
    argument.timeout = reinterpret_cast<std::uint64_t>(&time);
  }
  unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | enter_flags_;
  if (registered_) flags |= IORING_ENTER_REGISTERED_RING;
  ++counters_.enters;
  const int taken = io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), to_submit, wait, flags,
                                    reinterpret_cast<sigset_t*>(&argument), sizeof argument);
  if (taken > 0) counters_.submissions += static_cast<unsigned>(taken);
  return taken;
}

unsigned ring::reap(completion* out, unsigned room) noexcept {
  const unsigned head = std::atomic_ref(*ring_.cq.khead).load(std::memory_order_relaxed);
  const unsigned tail = std::atomic_ref(*ring_.cq.ktail).load(std::memory_order_acquire);
  const unsigned count = std::min(tail - head, room);
  const unsigned mask = ring_.cq.ring_mask;
  for (unsigned i = 0; i < count; ++i) {
    const io_uring_cqe& entry = ring_.cq.cqes[(head + i) & mask];
    out[i] = completion{entry.user_data, entry.res, entry.flags};
  }
  if (count == 0) return 0;
  std::atomic_ref(*ring_.cq.khead).store(head + count, std::memory_order_release);
  counters_.completions += count;
  if (faults_ && faults_->on_reap) {
    for (unsigned i = 0; i < count; ++i) faults_->on_reap(out[i]);
  }
  return count;
}

bool ring::has_deferred() const noexcept {
  const unsigned flags = std::atomic_ref(*ring_.sq.kflags).load(std::memory_order_relaxed);
  return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

}  // namespace mobius::detail
