#pragma once
// What the tests of protocols share: connected pairs of each kind of stream, a protocol that notes
// what happens to it, and a transport without a connection.

#include <unistd.h>

#include <array>
#include <memory>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace test {

/// The kinds of streams that the same tests run over.
enum class over { tcp, unix_path, pair };
inline constexpr std::array every_kind{over::tcp, over::unix_path, over::pair};

inline std::ostream& operator<<(std::ostream& out, over k) {
  return out << std::array{"tcp", "unix", "pair"}.at(static_cast<std::size_t>(k));
}

/// Two connected ends.
struct ends {
  mobius::net::socket_stream near;
  mobius::net::socket_stream far;
};

/// A path for a unix socket that no other test uses.
std::string socket_path();
mobius::task<ends> connected(over kind);

/// The seed of a random test, printed; MOBIUS_SEED repeats it.
std::uint64_t seed();

/// Lets the kernel's completions come in.
mobius::task<> settle(int turns = 30);
/// Turns the loop until `done()`, at most for some seconds of real time; false if it never was.
template <class F>
mobius::task<bool> until(F done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) co_return false;
    co_await mobius::yield();
  }
  co_return true;
}
/// Reads to the end, or `size` bytes.
mobius::task<std::string> read(mobius::net::socket_stream& s, std::size_t size = std::size_t(-1));
std::string pattern(std::size_t size);

using events = std::vector<std::string>;

/// Notes what happens, in a list that outlives it.
struct recorder : mobius::net::protocol {
  explicit recorder(bool half = false) : half_close(half) {}

  void connection_made() override { log->push_back("made"); }
  void data_received(std::string_view data) override {
    received += data;
    if (log->back() != "data") log->push_back("data");
  }
  void read_connection_lost() override { log->push_back("read lost"); }
  void write_connection_lost() override { log->push_back("write lost"); }
  bool half_closeable() const noexcept override { return half_close; }
  void connection_lost(const mobius::failure& reason) override {
    log->push_back("lost: " + reason.what());
    lost = true;
  }

  bool half_close;
  bool lost = false;
  std::string received;
  std::shared_ptr<events> log = std::make_shared<events>();
};

/// A transport that keeps what is written, for protocols whose input a test makes up.
class fake_transport final : public mobius::net::transport {
 public:
  static mobius::net::transport_ref over(std::shared_ptr<mobius::net::protocol> p,
                                         std::string* written = nullptr);

  std::string_view application_protocol() const noexcept override { return {}; }
  int native_handle() const noexcept override { return -1; }

 private:
  bool begin_receive() override { return false; }
  mobius::result<mobius::lease> take_input() override { return mobius::lease(); }
  bool begin_send(mobius::net::detail::send_queue& queue) override;
  mobius::result<std::size_t> take_sent() override { return std::exchange(sent_, 0); }
  void end_output() override {}
  void close_stream(bool) noexcept override {}
  mobius::net::socket_address stream_peer() const noexcept override { return {}; }
  mobius::net::socket_address stream_host() const noexcept override { return {}; }

  std::string* written_ = nullptr;
  std::size_t sent_ = 0;
};

inline const std::string in_order = "lost: the connection was closed in order";
inline const std::string aborted = "lost: the connection was aborted here";

}  // namespace test
