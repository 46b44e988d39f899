#pragma once
// A program run by a test: its output as it comes, and how it ended.

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace test {

class child {
 public:
  /// Starts `program` with `arguments` and, besides our own, `environment` ("NAME=value").
  explicit child(const std::string& program, const std::vector<std::string>& arguments = {},
                 const std::vector<std::string>& environment = {});
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  /// Ends it if it still runs.
  ~child();

  /// Waits until its output contains `text`, or it has ended, or the time is up; true if it does.
  bool wait_for(const std::string& text, std::chrono::seconds limit = std::chrono::seconds(20));
  /// Sends it a signal.
  void signal(int number) const;
  /// Waits for its end; it is killed when the time is up.
  void finish(std::chrono::seconds limit = std::chrono::seconds(20));

  /// What it has written to stdout and stderr.
  const std::string& output() const { return output_; }
  /// Its output, line by line.
  std::vector<std::string> lines() const;
  /// The exit status, or -1 if a signal ended it.
  int exit_status() const;
  /// The signal that ended it, or 0.
  int ending_signal() const;
  /// From its start to its end.
  std::chrono::milliseconds lifetime() const;

 private:
  bool read_some(std::chrono::steady_clock::time_point until);

  pid_t pid_ = -1;
  int pipe_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::string output_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace test
