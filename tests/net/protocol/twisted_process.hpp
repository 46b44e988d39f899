#pragma once
// A process of Twisted's, ended by its own number.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <system_error>
#include <vector>

namespace test {

/// twisted_peer.py with some arguments.
class twisted {
 public:
  explicit twisted(std::vector<std::string> words) {
    words.insert(words.begin(), {"/usr/bin/python3", TWISTED_PEER});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const int error = ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    out_ = ends[0];
    if (error != 0) throw std::system_error(error, std::generic_category(), words[0]);
  }
  twisted(const twisted&) = delete;
  twisted& operator=(const twisted&) = delete;
  ~twisted() {
    ::close(out_);
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  /// The next line of its output; less if none comes for 20 s.
  std::string line() {
    std::string text;
    char c = 0;
    pollfd readable{out_, POLLIN, 0};
    while (::poll(&readable, 1, 20'000) == 1 && ::read(out_, &c, 1) == 1 && c != '\n') text += c;
    return text;
  }
  /// Waits for its end, 20 s at most; its status, or -1.
  int end() {
    for (int i = 0; i < 2000; ++i) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      }
      ::usleep(10'000);
    }
    return -1;
  }

 private:
  pid_t pid_ = 0;
  int out_ = -1;
};

}  // namespace test
