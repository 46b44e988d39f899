#include "message.hpp"

namespace mobius::http {

namespace {

response with_type(int status, std::string_view content_type_line, std::string&& body) {
  return {status, {}, headers::from_static_wire(content_type_line), std::move(body)};
}

}  // namespace

response response::text(int status, std::string body) {
  return with_type(status, "Content-Type: text/plain; charset=utf-8\r\n", std::move(body));
}

response response::html(int status, std::string body) {
  return with_type(status, "Content-Type: text/html; charset=utf-8\r\n", std::move(body));
}

response response::json(int status, std::string body) {
  return with_type(status, "Content-Type: application/json\r\n", std::move(body));
}

}  // namespace mobius::http
