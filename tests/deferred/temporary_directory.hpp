#pragma once
// A directory that goes when the test ends.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/catch.hpp"

class temporary_directory {
 public:
  temporary_directory() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() { std::filesystem::remove_all(path); }

  /// A path in it.
  std::string lock() const { return path + "/lock"; }

  std::string path = (std::filesystem::temp_directory_path() / "mobius-lock-XXXXXX").string();
};
