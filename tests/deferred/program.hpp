#pragma once
// Programs of the test language: s-expressions, the file format, and how a trace is compared.

#include <string>
#include <vector>

/// A word or a list of forms.
struct form {
  std::string word;
  std::vector<form> items;
  bool is_list = false;

  const form& operator[](std::size_t i) const { return items.at(i); }
  std::size_t size() const { return items.size(); }
};

struct program {
  std::string name;
  bool unique = false;  // touches no deferred after it was handed over
  std::string source;
  std::vector<std::string> trace;  // what real Twisted gives
};

std::vector<form> read_forms(const std::string& text);

/// Reads a file of programs, each "#name ... [unique]", its source, and "=> " its trace.
std::vector<program> read_programs(const std::string& path);

std::vector<std::string> split_trace(const std::string& text);

/// The heads of all forms in it.
std::vector<std::string> heads(const std::vector<form>& forms);

std::string join(const std::vector<std::string>& tokens);
