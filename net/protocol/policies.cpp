#include "policies.hpp"

namespace mobius::net {

namespace {

// Gives its place back at its end, whether or not it was ever connected.
template <class GiveBack>
class counted_protocol final : public protocol_wrapper {
 public:
  counted_protocol(std::shared_ptr<protocol> wrapped, GiveBack give_back)
      : protocol_wrapper(std::move(wrapped)), give_back_(std::move(give_back)) {}
  ~counted_protocol() override { leave(); }

  void connection_lost(const failure& reason) override {
    leave();
    protocol_wrapper::connection_lost(reason);
  }

 private:
  void leave() {
    if (!std::exchange(left_, true)) give_back_();
  }

  GiveBack give_back_;
  bool left_ = false;
};

template <class GiveBack>
std::shared_ptr<protocol> counted(std::shared_ptr<protocol> p, GiveBack give_back) {
  return std::make_shared<counted_protocol<GiveBack>>(std::move(p), std::move(give_back));
}

}  // namespace

void protocol_wrapper::make_connection(net::transport& t) {
  protocol::make_connection(t);
  wrapped_->make_connection(t);
}

std::shared_ptr<protocol> limit_total_connections::build_protocol(const socket_address& peer) {
  if (*open_ >= most_) return overflow_ ? overflow_->build_protocol(peer) : nullptr;
  std::shared_ptr<protocol> p = wrapping_factory::build_protocol(peer);
  if (!p) return nullptr;
  ++*open_;
  return counted(std::move(p), [open = open_] { --*open; });
}

std::shared_ptr<protocol> limit_connections_by_peer::build_protocol(const socket_address& peer) {
  const std::string host = peer.host();
  if (open(host) >= most_) return nullptr;
  std::shared_ptr<protocol> p = wrapping_factory::build_protocol(peer);
  if (!p) return nullptr;
  ++(*open_)[host];
  return counted(std::move(p), [open = open_, host] {
    if (--(*open)[host] == 0) open->erase(host);
  });
}

std::size_t limit_connections_by_peer::open(const std::string& host) const {
  const auto at = open_->find(host);
  return at == open_->end() ? 0 : at->second;
}

}  // namespace mobius::net
