// Whatever is done, and whenever: connects cancelled and ports stopped at every moment, connections lost in
// every way in every callback.
#include <array>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/runtime/testing/shake.hpp>
#include <mobius/testing.hpp>
#include <stdexcept>
#include <string>

#include "kit.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace mobius::net;
using mobius::task;
using mobius::testing::world;
using test::kind;
using test::peers;

namespace {

struct echo : protocol {
  void lease_received(mobius::lease data) override { transport().write(std::move(data)); }
};

// Asks once, and closes when it has the answer.
struct asking : protocol {
  void connection_made() override { transport().write(question); }
  void data_received(std::string_view data) override {
    answer += data;
    if (answer.size() == question.size()) transport().lose_connection();
  }
  std::string question = test::pattern(100'000);
  std::string answer;
};

struct counting_factory : factory {
  std::shared_ptr<protocol> build_protocol(const socket_address&) override {
    ++built;
    return std::make_shared<echo>();
  }
  void start_factory() override { ++starts; }
  void stop_factory() override { ++stops; }
  int built = 0;
  int starts = 0;
  int stops = 0;
};

listening_port listen_on(bool unix_socket, std::shared_ptr<factory> f) {
  if (unix_socket) return listen(unix_listener(test::socket_path()), std::move(f));
  return listen(tcp_listener("127.0.0.1", 0), std::move(f));
}

// By a name with two addresses, the first of which refuses.
std::shared_ptr<client_endpoint> endpoint_to(const listening_port& port, world& w) {
  const socket_address& where = port.get_host();
  if (where.family() == AF_UNIX) return client_from_string(where.to_string());
  w.reactor.service<name_resolver>().set_lookup([](const std::string&, std::uint16_t p) {
    return std::vector{*socket_address::parse("127.0.0.2", p), *socket_address::parse("127.0.0.1", p)};
  });
  return client_from_string("tcp:two.example:" + std::to_string(where.port()) + ":timeout=5");
}

// Listening, connecting, asking and answering, closing: every await of the callback face.
task<> whole_life(world& w, bool unix_socket) {
  auto f = std::make_shared<counting_factory>();
  listening_port port = listen_on(unix_socket, f);
  auto endpoint = endpoint_to(port, w);
  auto p = co_await connect_protocol(*endpoint, std::make_shared<asking>());
  co_await when_lost(p->transport());  // whose cancel aborts the connection
  const bool answered = p->answer == p->question;
  const bool ended_here = p->transport().lost_reason()->check<connection_aborted>();
  CHECK(answered != ended_here);
  co_await port.stop_listening();
  CHECK(f->stops == 1);
}

}  // namespace

TEST_CASE("a life in callbacks, cancelled at every moment, ends each time and leaves nothing") {
  const bool unix_socket = GENERATE(false, true);
  INFO(unix_socket);
  auto life = [unix_socket](world& w) -> task<> { co_await whole_life(w, unix_socket); };
  CHECK(mobius::testing::cancel_at_every_await(life) > 10);
  CHECK(mobius::testing::cancel_at_every_await(life, test::seed()) > 10);
  auto undisturbed = [unix_socket](world& w) -> task<> {
    co_await whole_life(w, unix_socket);
    CHECK(w.reactor.timers().size() == 0);
  };
  mobius::testing::shake(undisturbed, 20);
}

TEST_CASE("a port stopped or dropped at any moment closes once, and every client comes to its end") {
  const bool unix_socket = GENERATE(false, true);
  INFO(unix_socket);
  for (int moment = 0; moment < 40; ++moment) {
    INFO(moment);
    mobius::testing::run([unix_socket, moment](world& w) -> task<> {
      auto f = std::make_shared<counting_factory>();
      listening_port port = listen_on(unix_socket, f);
      auto endpoint = endpoint_to(port, w);
      std::size_t answered = 0;
      auto clients = [&]() -> task<> {
        for (int i = 0; i < 8; ++i) {
          auto connected =
              co_await mobius::as_result(connect_protocol(*endpoint, std::make_shared<asking>()));
          if (!connected) continue;
          const std::shared_ptr<asking> p = *connected;
          // One that was not yet accepted is reset with the port.
          static_cast<void>(co_await mobius::as_result(when_lost(p->transport())));
          if (p->answer == p->question) ++answered;
        }
      };
      auto stop = [&]() -> task<> {
        co_await test::settle(moment);
        if (moment % 2 == 0) {
          co_await port.stop_listening();
          CHECK(f->stops == 1);
        } else {
          port = listening_port();
        }
      };
      auto both = mobius::when_all(clients(), stop());
      co_await std::move(both);
      co_await test::settle(3);  // a drop is not waited for
      CHECK(f->starts == 1);
      CHECK(f->stops == 1);
      CHECK(answered <= static_cast<std::size_t>(f->built));
    });
  }
}

namespace {

enum class place { made, data, read_lost, write_lost, producer_pause, producer_resume, producer_stop, lost };
enum class deed {
  nothing,
  lose,
  lose_twice,
  lose_soon,
  abort,
  half_close,
  fail,
  write_much,
  pause,
  drop,
  lose_then_abort,
  abort_then_write,
  unregister,
  take
};

constexpr std::array every_place{place::made,           place::data,
                                 place::read_lost,      place::write_lost,
                                 place::producer_pause, place::producer_resume,
                                 place::producer_stop,  place::lost};
constexpr std::array every_deed{deed::nothing,
                                deed::lose,
                                deed::lose_twice,
                                deed::lose_soon,
                                deed::abort,
                                deed::half_close,
                                deed::fail,
                                deed::write_much,
                                deed::pause,
                                deed::drop,
                                deed::lose_then_abort,
                                deed::abort_then_write,
                                deed::unregister,
                                deed::take};

// Does something to its own connection in one of its callbacks, and notes what comes of it.
class rash final : public protocol, public producer {
 public:
  struct notes {
    int made = 0;
    int lost = 0;
    int after_the_end = 0;
    int stops = 0;
    bool registered = false;
    bool done = false;  // the deed
  };

  rash(place where, deed what, std::shared_ptr<rash>& owner, notes& n) noexcept
      : where_(where), what_(what), owner_(owner), notes_(n) {}

  bool half_closeable() const noexcept override { return true; }
  void connection_made() override {
    ++notes_.made;
    transport().register_producer(*this, producer_kind::push);
    notes_.registered = true;
    here(place::made);
    // More than the mark, so that the producer is paused, and later resumed.
    transport().write(std::string(100'000, 'x'));
  }
  void data_received(std::string_view) override { here(place::data); }
  void read_connection_lost() override {
    here(place::read_lost);
    transport().lose_write_connection();
  }
  void write_connection_lost() override { here(place::write_lost); }
  void connection_lost(const mobius::failure&) override {
    ++notes_.lost;
    here(place::lost);
  }
  void pause_producing() override { here(place::producer_pause); }
  void resume_producing() override { here(place::producer_resume); }
  void stop_producing() override {
    ++notes_.stops;
    here(place::producer_stop);
  }

 private:
  void here(place p) {
    if (notes_.lost > (p == place::lost ? 1 : 0)) ++notes_.after_the_end;
    if (p != where_ || std::exchange(notes_.done, true)) return;
    do_it();
  }
  void do_it() {
    class transport& t = transport();
    switch (what_) {
      case deed::nothing:
        return;
      case deed::lose_twice:
        t.lose_connection();
        [[fallthrough]];
      case deed::lose:
        return t.lose_connection();
      case deed::lose_soon:
        return t.lose_connection(1s);
      case deed::lose_then_abort:
        t.lose_connection();
        [[fallthrough]];
      case deed::abort:
        return t.abort_connection();
      case deed::abort_then_write:
        t.abort_connection();
        t.write("ignored");
        return t.lose_write_connection();
      case deed::half_close:
        return t.lose_write_connection();
      case deed::fail:
        throw std::runtime_error("thrown in a callback");
      case deed::write_much:
        return t.write(std::string(300'000, 'y'));
      case deed::pause:
        t.pause_producing();
        mobius::reactor::current().call_soon([t = transport_ref(t)] { t->resume_producing(); });
        return;
      case deed::drop:
        owner_.reset();
        return t.lose_connection();
      case deed::unregister:
        if (notes_.stops == 0) notes_.registered = false;
        t.unregister_producer();
        return t.lose_connection();
      case deed::take:
        // If both sides end first it fails, which is right.
        if (!t.disconnecting())
          take_stream<socket_stream>(t).add_both([](mobius::result<taken_stream<socket_stream>>) {});
        return;
    }
  }

  place where_;
  deed what_;
  std::shared_ptr<rash>& owner_;
  notes& notes_;
};

}  // namespace

TEST_CASE(
    "whatever a protocol does in whichever callback, it is told of the end once, last, and nothing is left") {
  const kind k = GENERATE(from_range(test::every_kind));
  for (const place where : every_place) {
    for (const deed what : every_deed) {
      INFO(k << ", place " << static_cast<int>(where) << ", deed " << static_cast<int>(what));
      rash::notes n;
      mobius::testing::run([&](world& w) -> task<> {
        peers e = co_await test::connected_peers(k);
        std::shared_ptr<rash> p;
        p = std::make_shared<rash>(where, what, p, n);
        start_protocol(p, std::move(e.client));
        auto peer = [](socket_stream s) -> task<> {
          // It may find the connection reset at any point.
          static_cast<void>(co_await mobius::as_result(s.write_all("question")));
          static_cast<void>(co_await mobius::as_result(test::read_exactly(s, 50'000)));
          s.shutdown_write();
          static_cast<void>(co_await mobius::as_result(test::read_all(s)));
        };
        auto talk = mobius::as_result(peer(std::move(e.server)));
        static_cast<void>(co_await std::move(talk));
        const bool ended = co_await test::until([&] { return n.lost != 0; });
        CHECK(ended);
        co_await test::settle();
        // What is thrown where there is no connection left to lose is reported.
        const bool reported = what == deed::fail && (where == place::lost || where == place::producer_stop);
        CHECK(w.unhandled.take().size() == (reported ? 1 : 0));
      });
      CHECK(n.made == 1);
      CHECK(n.lost == 1);
      CHECK(n.after_the_end == 0);
      CHECK(n.done);
      CHECK(n.stops == (n.registered ? 1 : 0));
    }
  }
}

TEST_CASE("a connection that closes with a deadline ends once, whenever its peer begins to read") {
  const kind k = GENERATE(from_range(test::every_kind));
  for (int moment = 0; moment < 12; ++moment) {
    INFO(k << ", " << moment);
    mobius::testing::run([k, moment](world& w) -> task<> {
      peers e = co_await test::connected_peers(k);
      auto p = std::make_shared<test::recorder>();
      const transport_ref t = start_protocol(p, std::move(e.client));
      t->write(std::string(8'000'000, 'x'));
      t->lose_connection(10s);
      t->lose_connection(5s);  // the later word holds
      // The peer does not read for so long.
      for (int i = 0; i < moment; ++i) {
        co_await test::settle(3);
        w.clock.advance(500ms);
      }
      auto got = co_await mobius::as_result(test::read_all(e.server));
      co_await test::until([&] { return p->lost; });
      const bool in_time = moment < 10;
      CHECK(p->log->size() == 2);
      CHECK(p->log->back() == (in_time ? test::in_order : test::aborted));
      if (in_time) REQUIRE(got);
      if (in_time) CHECK(got->size() == 8'000'000);
      CHECK(w.reactor.timers().size() == 0);
    });
  }
}

TEST_CASE("what throws in stop_producing does not keep connection_lost from its protocol") {
  struct broken final : producer {
    void pause_producing() override {}
    void resume_producing() override {}
    void stop_producing() override { throw std::runtime_error("no stop"); }
  };
  mobius::testing::run([](world& w) -> task<> {
    peers e = co_await test::connected_peers(kind::tcp4);
    auto p = std::make_shared<test::recorder>();
    broken source;
    const transport_ref t = start_protocol(p, std::move(e.client));
    t->register_producer(source, producer_kind::push);
    t->abort_connection();
    co_await test::until([&] { return p->lost; });
    CHECK(p->log->back() == test::aborted);
    const auto unhandled = w.unhandled.take();
    REQUIRE(unhandled.size() == 1);
    CHECK(unhandled[0].what.what() == "no stop");
  });
}

TEST_CASE("a pull producer on a stream that takes all at once is asked in a loop, not ever deeper") {
  struct counter final : producer {
    explicit counter(transport_ref to) : out(std::move(to)) {}
    void pause_producing() override {}
    void resume_producing() override {
      if (--left == 0) return out->unregister_producer();
      out->write("x");
    }
    void stop_producing() override {}
    transport_ref out;
    int left = 1'000'000;
  };
  mobius::testing::run([](world&) -> task<> {
    std::string written;
    auto p = std::make_shared<test::recorder>();
    const transport_ref t = test::fake_transport::over(p, &written);
    counter source(t);
    t->register_producer(source, producer_kind::pull);
    co_await test::until([&] { return source.left == 0; });
    CHECK(written.size() == 999'999);
    t->lose_connection();
    co_await test::settle(3);
    CHECK(p->lost);
  });
}
