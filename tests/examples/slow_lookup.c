// Preloaded into a program: every name look-up hangs for a minute, and says so when it begins.
#include <netdb.h>
#include <unistd.h>

__attribute__((visibility("default"))) int getaddrinfo(const char* node, const char* service,
                                                       const struct addrinfo* hints, struct addrinfo** result) {
  (void)node;
  (void)service;
  (void)hints;
  (void)result;
  if (write(2, "looking up\n", 11) != 11) return EAI_SYSTEM;
  sleep(60);
  return EAI_AGAIN;
}
