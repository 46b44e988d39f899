#include "program.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace {

std::vector<form> read_until_close(std::istringstream& words, bool nested) {
  std::vector<form> forms;
  std::string word;
  while (words >> word) {
    if (word == ")") {
      if (!nested) throw std::runtime_error("unbalanced )");
      return forms;
    }
    form f;
    if (word == "(") {
      f.is_list = true;
      f.items = read_until_close(words, true);
    } else {
      f.word = word;
    }
    forms.push_back(std::move(f));
  }
  if (nested) throw std::runtime_error("unbalanced (");
  return forms;
}

void collect_heads(const std::vector<form>& forms, std::vector<std::string>& to) {
  for (const form& f : forms) {
    if (!f.is_list) continue;
    if (!f.items.empty() && !f[0].is_list) to.push_back(f[0].word);
    collect_heads(f.items, to);
  }
}

}  // namespace

std::vector<form> read_forms(const std::string& text) {
  std::string spaced;
  for (const char c : text) {
    if (c == '(' || c == ')') {
      spaced += ' ';
      spaced += c;
      spaced += ' ';
    } else {
      spaced += c;
    }
  }
  std::istringstream words(spaced);
  return read_until_close(words, false);
}

std::vector<program> read_programs(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  std::vector<program> programs;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("#name ", 0) == 0) {
      program p;
      p.name = line.substr(6, line.rfind(" [") - 6);
      p.unique = line.find("[unique]") != std::string::npos;
      programs.push_back(std::move(p));
    } else if (line.rfind("=> ", 0) == 0) {
      programs.at(programs.size() - 1).trace = split_trace(line.substr(3));
    } else if (!line.empty() && !programs.empty()) {
      programs.back().source += line + "\n";
    }
  }
  return programs;
}

std::vector<std::string> split_trace(const std::string& text) {
  std::vector<std::string> tokens;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find(" | ", begin);
    if (end == std::string::npos) end = text.size();
    std::string token = text.substr(begin, end - begin);
    while (!token.empty() && token.back() == ' ') token.pop_back();
    if (!token.empty()) tokens.push_back(std::move(token));
    begin = end + 3;
  }
  return tokens;
}

std::vector<std::string> heads(const std::vector<form>& forms) {
  std::vector<std::string> found;
  collect_heads(forms, found);
  return found;
}

std::string join(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& t : tokens) text += (text.empty() ? "" : " | ") + t;
  return text;
}
