#pragma once
// What the tests of protocols share beside the peers of all streams: a protocol that notes what happens
// to it, and a transport without a connection.

#include <chrono>
#include <memory>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <string>
#include <utility>
#include <vector>

#include "net/peers.hpp"

namespace test {

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
