#include "kit.hpp"

namespace test {

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
