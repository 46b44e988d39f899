#pragma once
// Real programs beside ours: run to their end, or for as long as a test needs them.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace process {

/// Runs a shell command and gives what it wrote to its standard output. Blocks.
inline std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), &::pclose);
  if (!pipe) throw std::system_error(errno, std::generic_category(), command);
  std::string all;
  char part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, pipe.get())) all.append(part, got);
  return all;
}

/// A program that runs until this ends.
class child {
 public:
  explicit child(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (const int error = ::posix_spawn(&pid_, arguments[0], nullptr, nullptr, arguments.data(), environ))
      throw std::system_error(error, std::generic_category(), words[0]);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

}  // namespace process
