#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <sstream>
#include <system_error>

extern char** environ;

namespace test {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

child::child(const std::string& program, const std::vector<std::string>& arguments,
             const std::vector<std::string>& environment) {
  std::vector<std::string> argv{program};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::vector<std::string> env(environment);
  for (char** entry = environ; *entry; ++entry) env.emplace_back(*entry);

  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  // A shell ignores SIGINT for what it runs in the background, and children inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGTERM);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  begin_ = std::chrono::steady_clock::now();
  const int error =
      posix_spawn(&pid_, program.c_str(), &actions, &attributes, pointers(argv).data(), pointers(env).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  pipe_ = ends[0];
  if (error != 0) throw std::system_error(error, std::generic_category(), "start of " + program);
}

child::~child() {
  if (!ended_ && pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
  }
  if (pipe_ >= 0) close(pipe_);
}

// False at the end of the output, or when the time is up.
bool child::read_some(std::chrono::steady_clock::time_point until) {
  const auto rest =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  if (rest.count() <= 0) return false;
  pollfd waiting{pipe_, POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(rest.count())) <= 0) return false;
  std::array<char, 4096> part{};
  const ssize_t size = read(pipe_, part.data(), part.size());
  if (size <= 0) return false;
  output_.append(part.data(), static_cast<std::size_t>(size));
  return true;
}

bool child::wait_for(const std::string& text, std::chrono::seconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (output_.find(text) == std::string::npos) {
    if (!read_some(until)) return false;
  }
  return true;
}

void child::signal(int number) const { kill(pid_, number); }

void child::finish(std::chrono::seconds limit) {
  if (ended_) return;
  const auto until = std::chrono::steady_clock::now() + limit;
  while (read_some(until)) {
  }
  if (std::chrono::steady_clock::now() >= until) kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
  end_ = std::chrono::steady_clock::now();
  ended_ = true;
}

std::vector<std::string> child::lines() const {
  std::vector<std::string> out;
  std::istringstream text(output_);
  for (std::string line; std::getline(text, line);) out.push_back(line);
  return out;
}

int child::exit_status() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }
int child::ending_signal() const { return WIFSIGNALED(status_) ? WTERMSIG(status_) : 0; }

std::chrono::milliseconds child::lifetime() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(end_ - begin_);
}

}  // namespace test
