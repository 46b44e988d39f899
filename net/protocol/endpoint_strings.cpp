// Endpoints from strings: "type:positional:key=value", with backslashes before what is meant as it is.

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

#include "../tcp.hpp"
#include "endpoint.hpp"

namespace mobius::net {

namespace {

// What is known of one string, so that errors can quote it.
class arguments {
 public:
  explicit arguments(std::string_view text) : text_(text) {
    split();
    if (positional_.empty()) fail("it has no type; write one such as tcp:8080");
    type_ = std::move(positional_.front());
    positional_.erase(positional_.begin());
  }

  const std::string& type() const noexcept { return type_; }

  // Positional arguments have names too, in this order.
  void name(std::initializer_list<const char*> names, std::initializer_list<const char*> others) {
    if (positional_.size() > names.size()) fail("too many arguments after the type");
    auto at = names.begin();
    for (std::string& value : positional_) {
      if (!named_.emplace(*at, std::move(value)).second) fail(std::string(*at) + " is given twice");
      ++at;
    }
    for (const auto& [key, value] : named_) {
      const auto is_key = [&k = key](const char* n) { return k == n; };
      if (std::none_of(names.begin(), names.end(), is_key) &&
          std::none_of(others.begin(), others.end(), is_key))
        fail("unknown argument '" + key + "'");
    }
  }
  std::optional<std::string> find(const char* key) const {
    const auto at = named_.find(key);
    return at == named_.end() ? std::nullopt : std::optional(at->second);
  }
  std::string need(const char* key) const {
    std::optional<std::string> value = find(key);
    if (!value || value->empty()) fail(std::string(key) + " is missing");
    return *std::move(value);
  }
  int number(const char* key, const std::string& value, int most, int base = 10) const {
    int n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n, base);
    if (error != std::errc() || end != value.data() + value.size() || n < 0 || n > most)
      fail(std::string(key) + " is '" + value + "', not a number from 0 to " + std::to_string(most));
    return n;
  }
  std::uint16_t port() const { return static_cast<std::uint16_t>(number("port", need("port"), 65535)); }
  int backlog(int otherwise) const {
    const auto value = find("backlog");
    return value ? number("backlog", *value, 1 << 30) : otherwise;
  }
  std::chrono::nanoseconds timeout() const {
    const auto value = find("timeout");
    return std::chrono::seconds(value ? number("timeout", *value, 1 << 30) : 30);
  }
  socket_address address(const char* key, const std::string& literal, std::uint16_t with_port) const {
    const auto parsed = socket_address::parse(literal, with_port);
    if (!parsed) fail(std::string(key) + " is '" + literal + "', not an IP address");
    return *parsed;
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw endpoint_error("endpoint '" + text_ + "': " + why);
  }

 private:
  void split() {
    std::string part;
    std::optional<std::string> key;
    const auto add = [&] {
      if (!key) {
        positional_.push_back(std::exchange(part, {}));
      } else if (!named_.emplace(*std::exchange(key, std::nullopt), std::exchange(part, {})).second) {
        fail("an argument is given twice");
      }
    };
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\\') {
        if (++i == text_.size()) fail("nothing follows the last backslash");
        part += text_[i];
      } else if (c == ':') {
        add();
      } else if (c == '=' && !key) {
        key = std::exchange(part, {});
      } else {
        part += c;
      }
    }
    if (!text_.empty()) add();
  }

  std::string text_;
  std::string type_;
  std::vector<std::string> positional_;
  std::map<std::string, std::string> named_;
};

[[noreturn]] void refuse_type(const arguments& a, const char* known) {
  for (const char* later : {"tls", "ssl", "systemd", "stdio", "haproxy", "fd", "autobahn"})
    if (a.type() == later) a.fail("the type '" + a.type() + "' is not in this build; there are " + known);
  a.fail("unknown type '" + a.type() + "'; there are " + std::string(known));
}

}  // namespace

std::shared_ptr<client_endpoint> client_from_string(std::string_view description) {
  arguments a(description);
  if (a.type() == "tcp") {
    a.name({"host", "port"}, {"timeout", "bindAddress"});
    connect_options options;
    if (const auto bind = a.find("bindAddress")) options.bind = a.address("bindAddress", *bind, 0);
    return std::make_shared<tcp_client_endpoint>(a.need("host"), a.port(), a.timeout(), options);
  }
  if (a.type() == "unix") {
    a.name({"path"}, {"timeout", "lockfile", "checkPID"});
    return std::make_shared<unix_client_endpoint>(a.need("path"), a.timeout());
  }
  refuse_type(a, "tcp and unix");
}

std::shared_ptr<server_endpoint> server_from_string(std::string_view description) {
  arguments a(description);
  if (a.type() == "tcp" || a.type() == "tcp6") {
    a.name({"port"}, {"interface", "backlog"});
    const bool six = a.type() == "tcp6";
    const std::string interface = a.find("interface").value_or("");
    listen_options options;
    options.backlog = a.backlog(options.backlog);
    const std::string literal = !interface.empty() ? interface : six ? "::" : "0.0.0.0";
    const socket_address address = a.address("interface", literal, a.port());
    if (six && address.family() != AF_INET6) a.fail("interface is '" + literal + "', not an IPv6 address");
    return std::make_shared<tcp_server_endpoint>(address, options);
  }
  if (a.type() == "unix") {
    a.name({"address"}, {"mode", "backlog", "lockfile"});
    unix_listen_options options;
    options.backlog = a.backlog(options.backlog);
    if (const auto mode = a.find("mode"))
      options.mode = static_cast<mode_t>(a.number("mode", *mode, 07777, 8));
    if (const auto lock = a.find("lockfile")) options.replace_stale = a.number("lockfile", *lock, 1) == 1;
    return std::make_shared<unix_server_endpoint>(a.need("address"), options);
  }
  refuse_type(a, "tcp, tcp6 and unix");
}

std::string quote_argument(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == ':' || c == '=') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace mobius::net
