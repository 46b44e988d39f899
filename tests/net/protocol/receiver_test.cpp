#include <chrono>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>
#include <random>
#include <string>
#include <vector>

#include "kit.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using mobius::task;
using mobius::net::int16_string_receiver;
using mobius::net::int32_string_receiver;
using mobius::net::int8_string_receiver;
using mobius::net::line_only_receiver;
using mobius::net::line_receiver;
using mobius::net::netstring_receiver;
using mobius::net::transport_ref;
using mobius::testing::world;
using strings = std::vector<std::string>;

namespace {

// Each kind of receiver under one face: what it has delivered, and what it refuses.
template <class Base>
struct collecting : Base {
  using Base::Base;
  void note(std::string_view text) {
    got.emplace_back(text);
    if (pause_at_each) this->pause_producing();
    if (close_after == got.size()) this->transport().lose_connection();
  }
  strings got;
  bool pause_at_each = false;
  std::size_t close_after = 0;
  strings refused;
};
template <class Base>
struct lines_of : collecting<Base> {
  using collecting<Base>::collecting;
  void line_received(std::string_view line) override { this->note(line); }
  void line_length_exceeded(std::string_view line) override {
    this->refused.emplace_back(line);
    Base::line_length_exceeded(line);
  }
  void send(std::string_view text) { this->send_line(text); }
};
template <class Base>
struct strings_of : collecting<Base> {
  void string_received(std::string_view text) override { this->note(text); }
  void send(std::string_view text) { this->send_string(text); }
};

template <class Body>
void in_world(Body body) {
  mobius::testing::run([&](world&) -> task<> {
    co_await body();
    co_await test::settle(3);
  });
}

std::string random_text(std::mt19937_64& random, std::size_t longest) {
  std::string text(random() % (longest + 1), '\0');
  for (char& c : text) c = "ab\r\n,:0"[random() % 7];
  return text;
}

}  // namespace

TEMPLATE_TEST_CASE("messages arrive as they were sent, however the bytes are cut and whenever it pauses", "",
                   lines_of<line_only_receiver>, lines_of<line_receiver>, strings_of<int8_string_receiver>,
                   strings_of<int16_string_receiver>, strings_of<int32_string_receiver>,
                   strings_of<netstring_receiver>) {
  constexpr bool lines = std::derived_from<TestType, line_only_receiver>;
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 60; ++round) {
    in_world([&]() -> task<> {
      strings sent;
      std::string wire;
      auto sender = std::make_shared<TestType>();
      const transport_ref out = test::fake_transport::over(sender, &wire);
      for (std::size_t n = random() % 30; n != 0; --n) {
        std::string text = random_text(random, 200);
        if (lines) std::erase(text, '\r');
        sender->send(text);
        sent.push_back(text);
      }
      out->lose_connection();
      co_await mobius::yield();

      auto receiver = std::make_shared<TestType>();
      receiver->pause_at_each = round % 3 == 0;
      const transport_ref in = test::fake_transport::over(receiver);
      std::string_view rest = wire;
      while (!rest.empty()) {
        const std::size_t part =
            std::min<std::size_t>(rest.size(), 1 + random() % (round % 2 == 0 ? 3 : 400));
        receiver->data_received(rest.substr(0, part));
        rest.remove_prefix(part);
        if (random() % 4 == 0) receiver->resume_producing();
      }
      while (receiver->paused()) receiver->resume_producing();
      CHECK(receiver->got == sent);
      in->lose_connection();
    });
  }
}

TEMPLATE_TEST_CASE("nothing more of a packet is delivered once the connection is closing", "",
                   lines_of<line_only_receiver>, lines_of<line_receiver>, strings_of<int8_string_receiver>,
                   strings_of<netstring_receiver>) {
  in_world([]() -> task<> {
    std::string wire;
    auto sender = std::make_shared<TestType>();
    const transport_ref out = test::fake_transport::over(sender, &wire);
    for (const char* text : {"one", "two", "three"}) sender->send(text);
    out->lose_connection();
    co_await mobius::yield();
    auto receiver = std::make_shared<TestType>();
    receiver->close_after = 2;
    const transport_ref in = test::fake_transport::over(receiver);
    receiver->data_received(wire);
    CHECK(receiver->got == strings{"one", "two"});
  });
}

TEMPLATE_TEST_CASE("a long message that comes byte by byte takes time linear in its size", "",
                   lines_of<line_only_receiver>, lines_of<line_receiver>, strings_of<int32_string_receiver>,
                   strings_of<netstring_receiver>) {
  in_world([]() -> task<> {
    // If each byte had all before it looked at or moved again, this would be 2 * 10^12 bytes.
    constexpr std::size_t size = 2'000'000;
    const std::string text(size, 'x');
    std::string wire;
    auto sender = std::make_shared<TestType>();
    const transport_ref out = test::fake_transport::over(sender, &wire);
    sender->send(text);
    out->lose_connection();
    co_await mobius::yield();
    auto receiver = std::make_shared<TestType>();
    receiver->set_max_length(size);
    const transport_ref in = test::fake_transport::over(receiver);
    const auto begin = std::chrono::steady_clock::now();
    for (const char& c : wire) receiver->data_received({&c, 1});
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    REQUIRE(receiver->got.size() == 1);
    CHECK(receiver->got[0] == text);
    in->lose_connection();
  });
}

TEST_CASE("a line at the limit is taken; one byte more is refused with all that has come, finished or not") {
  for (const bool finished : {true, false}) {
    INFO(finished);
    in_world([finished]() -> task<> {
      auto p = std::make_shared<lines_of<line_only_receiver>>("\r\n", 5);
      const transport_ref t = test::fake_transport::over(p);
      p->data_received("12345\r\n");
      CHECK(p->got == strings{"12345"});
      if (finished) {
        p->data_received("123456\r\nmore");
        CHECK(p->refused == strings{"123456\r\nmore"});
      } else {
        p->data_received("123456");
        CHECK(p->refused.empty());  // its delimiter may have begun
        p->data_received("7");
        CHECK(p->refused == strings{"1234567"});
      }
      CHECK(t->disconnecting());
      co_return;
    });
  }
}

TEST_CASE("a delimiter may be any text and be cut anywhere; an empty one is refused") {
  in_world([]() -> task<> {
    auto p = std::make_shared<lines_of<line_receiver>>("--");
    const transport_ref t = test::fake_transport::over(p);
    for (const char* part : {"a-", "-", "-b-c", "--d", "--"}) p->data_received(part);
    CHECK(p->got == strings{"a", "-b-c", "d"});
    CHECK(p->delimiter() == "--");
    CHECK_THROWS_AS(p->set_delimiter(""), std::invalid_argument);
    t->lose_connection();
    co_return;
  });
}

TEST_CASE("raw mode begins with the rest of the packet, and line mode with what raw mode does not want") {
  // A line "raw N" is followed by N raw bytes.
  struct mixed : line_receiver {
    void line_received(std::string_view line) override {
      log.push_back("line " + std::string(line));
      if (!line.starts_with("raw ")) return;
      left = static_cast<std::size_t>(std::stoi(std::string(line.substr(4))));
      if (left != 0) set_raw_mode();
    }
    void raw_data_received(std::string_view data) override {
      const std::size_t part = std::min(left, data.size());
      raw += data.substr(0, part);
      left -= part;
      if (left != 0) return;
      log.push_back("raw " + std::exchange(raw, {}));
      copy_extra ? set_line_mode(std::string(data.substr(part))) : set_line_mode(data.substr(part));
    }
    strings log;
    std::string raw;
    std::size_t left = 0;
    bool copy_extra = false;
  };
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 100; ++round) {
    in_world([&]() -> task<> {
      strings expected;
      std::string wire;
      for (int i = 0; i < 20; ++i) {
        const std::size_t size = random() % 40;
        const std::string raw(size, static_cast<char>('a' + i));
        wire += "raw " + std::to_string(size) + "\r\n" + raw;
        expected.push_back("line raw " + std::to_string(size));
        if (size != 0) expected.push_back("raw " + raw);
      }
      auto p = std::make_shared<mixed>();
      p->copy_extra = round % 2 == 0;
      const transport_ref t = test::fake_transport::over(p);
      std::string_view rest = wire;
      while (!rest.empty()) {
        const std::size_t part = std::min<std::size_t>(rest.size(), 1 + random() % 100);
        p->data_received(rest.substr(0, part));
        rest.remove_prefix(part);
      }
      CHECK(p->log == expected);
      CHECK_FALSE(p->raw_mode());
      t->lose_connection();
      co_return;
    });
  }
}

TEST_CASE("clear_line_buffer takes out what has come and was not delivered") {
  in_world([]() -> task<> {
    struct clearing : lines_of<line_receiver> {
      void line_received(std::string_view line) override {
        note(line);
        if (line == "clear") cleared = clear_line_buffer();
      }
      std::string cleared;
    };
    auto p = std::make_shared<clearing>();
    const transport_ref t = test::fake_transport::over(p);
    p->data_received("a\r\nclear\r\nb\r\nc");
    CHECK(p->cleared == "b\r\nc");
    p->data_received("d\r\n");
    CHECK(p->got == strings{"a", "clear", "d"});
    t->lose_connection();
    co_return;
  });
}

TEST_CASE("data that comes inside a callback follows what is there") {
  in_world([]() -> task<> {
    struct nested : lines_of<line_receiver> {
      void line_received(std::string_view line) override {
        note(line);
        if (line == "one") data_received("three\r\n");
      }
    };
    auto p = std::make_shared<nested>();
    const transport_ref t = test::fake_transport::over(p);
    p->data_received("one\r\ntwo\r\n");
    CHECK(p->got == strings{"one", "two", "three"});
    t->lose_connection();
    co_return;
  });
}

TEST_CASE("an announced string over the limit closes the connection before it comes") {
  in_world([]() -> task<> {
    struct strict : strings_of<int16_string_receiver> {
      void length_limit_exceeded(std::size_t n) override {
        announced = n;
        int16_string_receiver::length_limit_exceeded(n);
      }
      std::size_t announced = 0;
    };
    auto p = std::make_shared<strict>();
    const transport_ref t = test::fake_transport::over(p);
    p->set_max_length(10);
    p->data_received(
        std::string_view("\0\x0a"
                         "0123456789"
                         "\0\x0b",
                         14));
    CHECK(p->got == strings{"0123456789"});
    CHECK(p->announced == 11);
    CHECK(t->disconnecting());
    co_return;
  });
}

TEST_CASE("a string that its prefix cannot hold is an error of the sender") {
  in_world([]() -> task<> {
    std::string wire;
    auto p = std::make_shared<strings_of<int8_string_receiver>>();
    const transport_ref t = test::fake_transport::over(p, &wire);
    CHECK_THROWS_AS(p->send_string(std::string(256, 'x')), mobius::net::string_too_long);
    p->send_string(std::string(255, 'x'));
    auto q = std::make_shared<strings_of<int16_string_receiver>>();
    const transport_ref u = test::fake_transport::over(q);
    CHECK_THROWS_AS(q->send_string(std::string(65536, 'x')), mobius::net::string_too_long);
    t->lose_connection();
    u->lose_connection();
    co_await mobius::yield();  // `wire` is written to by then
  });
}

TEST_CASE("a peer that sends what is no netstring is disconnected and remembered as broken") {
  const std::string bad = GENERATE("x", "05:hello,", "00:,", ":x", "5x", "5:hello!", "100:", "-1:x,", " 1:x,",
                                   "99999999999999999999999999");
  INFO(bad);
  in_world([&]() -> task<> {
    auto p = std::make_shared<strings_of<netstring_receiver>>();
    const transport_ref t = test::fake_transport::over(p);
    p->set_max_length(99);
    p->data_received("0:,2:ok,");
    CHECK_FALSE(p->broken_peer());
    p->data_received(bad);
    CHECK(p->broken_peer());
    CHECK(t->disconnecting());
    CHECK(p->got == strings{"", "ok"});
    co_return;
  });
}

TEST_CASE("a line receiver that pauses stops in the middle of a packet and resumes with what is there") {
  in_world([]() -> task<> {
    auto p = std::make_shared<lines_of<line_receiver>>();
    p->pause_at_each = true;
    const transport_ref t = test::fake_transport::over(p);
    p->data_received("one\r\ntwo\r\nthr");
    CHECK(p->got == strings{"one"});
    CHECK(t->paused());
    p->resume_producing();
    CHECK(p->got == strings{"one", "two"});
    CHECK(t->paused());
    p->resume_producing();
    CHECK(p->got.size() == 2);
    CHECK_FALSE(t->paused());
    p->data_received("ee\r\n");
    CHECK(p->got == strings{"one", "two", "three"});
    t->lose_connection();
    co_return;
  });
}

TEST_CASE("a line receiver that passes lines on is held back by the connection that it writes to") {
  struct passing : line_receiver {
    void line_received(std::string_view line) override {
      to->transport().write(std::string(line) + "\n");
      most = std::max(most, to->transport().unsent());
    }
    void connection_lost(const mobius::failure&) override {
      to->transport().unregister_producer();
      to->transport().lose_connection();
    }
    std::shared_ptr<mobius::net::protocol> to;
    std::size_t most = 0;
  };
  mobius::testing::run([](world&) -> task<> {
    test::peers in = co_await test::connected_peers();
    test::peers out = co_await test::connected_peers(test::kind::unix_path);
    auto sink = std::make_shared<test::recorder>();
    auto p = std::make_shared<passing>();
    p->to = sink;
    mobius::net::start_protocol(sink, std::move(out.server));
    mobius::net::start_protocol(p, std::move(in.server));
    sink->transport().register_producer(*p, mobius::net::producer_kind::push);
    std::string wire;
    std::string expected;
    for (int i = 0; i < 100'000; ++i) {
      wire += "line " + std::to_string(i) + " of the text\r\n";
      expected += "line " + std::to_string(i) + " of the text\n";
    }
    auto late = [](mobius::net::socket_stream& s) -> task<std::string> {
      co_await test::settle(300);
      co_return co_await test::read_all(s);
    };
    auto both = mobius::when_all(test::send_and_finish(in.client, wire), late(out.client));
    auto [x, got] = co_await std::move(both);
    static_cast<void>(x);
    CHECK((got == expected));
    CHECK(p->most < mobius::net::transport::high_water + 100);  // it stops in the middle of a packet
  });
}
