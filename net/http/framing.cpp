#include "framing.hpp"

#include "text.hpp"

namespace mobius::http::detail {

transfer_coding read_transfer_encoding(std::string_view value) {
  if (equals_lower(value, "chunked")) return transfer_coding::chunked;
  bool malformed = false;
  bool chunked = false;
  for_each_element(value, [&](std::string_view coding) {
    // Chunked must come last and once, or the end of the body is anyone's guess.
    malformed = chunked || !is_token(coding);
    chunked = equals_lower(coding, "chunked");
    return !malformed;
  });
  return malformed ? transfer_coding::malformed : transfer_coding::unknown;
}

void connection_options::read(std::string_view value) {
  if (value == "keep-alive") {  // what nearly every client sends
    keep_alive = true;
    return;
  }
  for_each_element(value, [this](std::string_view option) {
    close = close || equals_lower(option, "close");
    keep_alive = keep_alive || equals_lower(option, "keep-alive");
    return true;
  });
}

}  // namespace mobius::http::detail
