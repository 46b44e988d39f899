#include "kit.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>

namespace test {

std::string socket_path() {
  static int number = 0;
  return "/tmp/mobius_protocol_test_" + std::to_string(getpid()) + "_" + std::to_string(++number);
}

mobius::task<ends> connected(over kind) {
  using namespace mobius::net;
  if (kind == over::tcp) {
    tcp_listener listener("127.0.0.1", 0);
    auto both = mobius::when_all(connect(listener.local_address()), listener.accept());
    auto [near, far] = co_await std::move(both);
    ends out{std::move(near), std::move(far)};
    co_return out;
  }
  if (kind == over::unix_path) {
    const std::string path = socket_path();
    unix_listener listener(path);
    auto both = mobius::when_all(connect_unix(path), listener.accept());
    auto [near, far] = co_await std::move(both);
    ends out{std::move(near), std::move(far)};
    co_return out;
  }
  auto [near, far] = stream_pair();
  ends out{std::move(near), std::move(far)};
  co_return out;
}

std::uint64_t seed() {
  const char* given = std::getenv("MOBIUS_SEED");
  const std::uint64_t value = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "MOBIUS_SEED=" << value << std::endl;
  return value;
}

mobius::task<> settle(int turns) {
  for (int i = 0; i < turns; ++i) co_await mobius::yield();
}

mobius::task<std::string> read(mobius::net::socket_stream& s, std::size_t size) {
  std::string all;
  while (all.size() < size) {
    mobius::lease part = co_await s.receive();
    if (part.empty()) break;
    all += part.text();
  }
  co_return all;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

mobius::net::transport_ref fake_transport::over(std::shared_ptr<mobius::net::protocol> p,
                                                std::string* written) {
  auto* t = new fake_transport;
  t->written_ = written;
  const mobius::net::transport_ref ref(*t);
  t->start(std::move(p));
  return ref;
}

bool fake_transport::begin_send(mobius::net::detail::send_queue& queue) {
  while (!queue.empty()) {
    auto* piece = queue.pop();
    if (written_) written_->append(mobius::net::const_buffer(piece->bytes()).size(), '\0');
    if (written_) {
      const auto bytes = piece->bytes();
      written_->replace(written_->size() - bytes.size(), bytes.size(),
                        reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    sent_ += piece->bytes().size();
    piece->free();
  }
  return true;
}

}  // namespace test
