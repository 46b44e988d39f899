#pragma once
// The buffers that the kernel receives into: rings of buffers that it picks from when data arrives, so
// that an idle connection owns none; one of 16 KiB for all, and one of 64 KiB for streams that keep
// filling those. `lease` is how a program holds one.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

struct io_uring_buf_ring;

namespace mobius {

class reactor;

namespace detail {

/// Who takes a buffer back when the lease on it ends: the pool, or a block of its own.
struct buffer_owner {
  using function = void (*)(buffer_owner* self, std::uint16_t id) noexcept;

  explicit buffer_owner(function f) noexcept : give_back(f) {}
  buffer_owner(const buffer_owner&) = delete;
  buffer_owner& operator=(const buffer_owner&) = delete;

  function give_back;
};

/// What the buffers of a pool are like.
struct buffer_shape {
  std::uint16_t group;       // as the kernel knows them
  std::uint8_t size_shift;   // log2 of the bytes of one
  std::uint8_t chunk_shift;  // log2 of how many are added at a time
  std::uint16_t most;        // how many there can be, a power of two

  constexpr std::uint32_t buffer_size() const noexcept { return std::uint32_t{1} << size_shift; }
  constexpr std::uint16_t chunk_buffers() const noexcept {
    return static_cast<std::uint16_t>(1U << chunk_shift);
  }
  constexpr std::size_t chunk_bytes() const noexcept { return std::size_t{1} << (size_shift + chunk_shift); }
};

/// Buffers of one shape of a reactor. It outlives the reactor while leases do.
class buffer_pool : public buffer_owner {
 public:
  static constexpr buffer_shape small{
      .group = 0, .size_shift = 14, .chunk_shift = 8, .most = 1024};  // 16 MiB
  static constexpr buffer_shape large{
      .group = 1, .size_shift = 16, .chunk_shift = 5, .most = 1024};  // 64 MiB
  static constexpr std::uint16_t none = 0xffff;

  buffer_pool(reactor& r, const buffer_shape& shape);
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  /// What its buffers are like.
  const buffer_shape& shape() const noexcept { return shape_; }
  /// Where a buffer's bytes are.
  std::byte* data(std::uint16_t id) const noexcept {
    const auto index = static_cast<std::size_t>(id & (shape_.chunk_buffers() - 1));
    return chunks_[id >> shape_.chunk_shift] + (index << shape_.size_shift);
  }
  /// The kernel has filled the first `size` bytes of a buffer: it is the program's now.
  void taken(std::uint16_t id, std::uint32_t size) noexcept;
  /// Gives a buffer back to the kernel.
  void recycle(std::uint16_t id) noexcept;
  /// The kernel ran out: true if it may try again at once, as some have come back or were added.
  bool replenish() noexcept { return with_kernel_ != 0 || grow(); }

  /// How many the program holds: queued in streams, or leased.
  std::uint16_t held() const noexcept { return static_cast<std::uint16_t>(total_ - with_kernel_); }
  /// True if the kernel has none.
  bool dry() const noexcept { return with_kernel_ == 0; }

  /// Which buffer follows in a chain of received ones, its size, and where its unread part begins:
  /// kept here, so that a stream needs no storage for its queue.
  struct entry {
    std::uint16_t next = none;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  entry& info(std::uint16_t id) noexcept { return entries_[id]; }

  /// A lease begins or ends.
  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) delete this;
  }
  /// The reactor ends: the kernel has let go of everything.
  void detach() noexcept;

 private:
  ~buffer_pool();
  bool grow() noexcept;
  void provide(std::uint16_t id) noexcept;
  static void lease_ended(buffer_owner* self, std::uint16_t id) noexcept;

  std::size_t ring_bytes() const noexcept;
  void free_memory() noexcept;

  reactor* reactor_;
  const buffer_shape shape_;
  io_uring_buf_ring* ring_ = nullptr;
  std::uint16_t tail_ = 0;
  std::uint16_t total_ = 0;
  std::uint16_t with_kernel_ = 0;
  std::uint32_t references_ = 1;
  std::vector<std::byte*> chunks_;
  std::vector<entry> entries_;
};

/// The service that makes a reactor's pools.
class buffers {
 public:
  explicit buffers(reactor& r) : reactor_(r), small_(new buffer_pool(r, buffer_pool::small)) {}
  buffers(const buffers&) = delete;
  buffers& operator=(const buffers&) = delete;
  ~buffers() {
    small_->detach();
    if (large_) large_->detach();
  }
  /// The buffers of 16 KiB.
  buffer_pool& small() noexcept { return *small_; }
  /// Those of 64 KiB, made when they are first asked for; null if there is none to be had just now.
  buffer_pool* large() noexcept;

 private:
  reactor& reactor_;
  buffer_pool* small_;
  buffer_pool* large_ = nullptr;
  bool no_large_ = false;  // the kernel or the memory has refused
};

/// A buffer beside the pool, for a stream that has to receive when the pool has none. It frees itself
/// when the lease on it ends.
struct spare_buffer final : buffer_owner {
  spare_buffer() noexcept : buffer_owner(&spare_buffer::free_it) {}

  std::byte bytes[buffer_pool::small.buffer_size()];

 private:
  static void free_it(buffer_owner* self, std::uint16_t) noexcept { delete static_cast<spare_buffer*>(self); }
};

}  // namespace detail

/// Received bytes in a buffer of the reactor, without a copy. Move-only; dropping it gives the
/// buffer back to the kernel. An empty lease means the end of the stream. To be dropped in the
/// reactor's thread.
///
///     while (mobius::lease data = co_await stream.receive()) co_await stream.write_all(data);
class lease {
 public:
  /// An empty one.
  lease() noexcept = default;
  lease(lease&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)),
        data_(other.data_),
        size_(std::exchange(other.size_, 0)),
        id_(other.id_) {}
  lease& operator=(lease&& other) noexcept {
    if (this != &other) {
      reset();
      owner_ = std::exchange(other.owner_, nullptr);
      data_ = other.data_;
      size_ = std::exchange(other.size_, 0);
      id_ = other.id_;
    }
    return *this;
  }
  ~lease() { reset(); }

  /// The first byte.
  const std::byte* data() const noexcept { return data_; }
  /// How many bytes there are.
  std::size_t size() const noexcept { return size_; }
  /// True at the end of the stream.
  bool empty() const noexcept { return size_ == 0; }
  /// False at the end of the stream.
  explicit operator bool() const noexcept { return size_ != 0; }
  /// The bytes.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  /// The bytes as text.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
  /// Leaves out the first `n` bytes.
  void remove_prefix(std::size_t n) noexcept {
    data_ += n;
    size_ -= static_cast<std::uint32_t>(n);
  }
  /// Gives the buffer back now.
  void reset() noexcept {
    size_ = 0;
    if (detail::buffer_owner* owner = std::exchange(owner_, nullptr)) owner->give_back(owner, id_);
  }

  /// For streams: a lease on a part of a buffer that the kernel has filled.
  lease(detail::buffer_pool& pool, std::uint16_t id, std::uint32_t begin, std::uint32_t end) noexcept
      : owner_(&pool), data_(pool.data(id) + begin), size_(end - begin), id_(id) {
    pool.retain();
  }
  /// For streams: bytes in memory that `owner` takes back.
  lease(detail::buffer_owner& owner, const std::byte* data, std::uint32_t size) noexcept
      : owner_(&owner), data_(data), size_(size) {}

 private:
  detail::buffer_owner* owner_ = nullptr;
  const std::byte* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint16_t id_ = 0;
};

}  // namespace mobius
