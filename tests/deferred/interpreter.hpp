#pragma once
// Runs a program of the test language on mobius' deferreds and writes its trace. Everything in it
// is a deferred<val>, so every stage keeps the type and is added in place.

#include <mobius/deferred/deferred.hpp>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "fake_clock.hpp"
#include "program.hpp"

namespace dtl {

using val = std::variant<std::monostate, std::int64_t, std::string>;

struct E0 : std::exception {
  const char* what() const noexcept override { return "E0"; }
};
struct E1 : E0 {};
struct E2 : E0 {};
struct E3 : E1 {};

class interpreter {
 public:
  /// What the stages of a program are made of.
  enum class style { callbacks, coroutines };

  explicit interpreter(style s = style::callbacks);
  interpreter(const interpreter&) = delete;
  interpreter& operator=(const interpreter&) = delete;
  ~interpreter();

  /// Runs it and returns its trace.
  std::vector<std::string> run(const std::vector<form>& program);

  /// Names that were handed to a chain, coroutine or the like: they have no handle any more.
  const std::set<std::string>& handed_over() const { return gone_; }
  /// Names of coroutines.
  const std::set<std::string>& coroutines() const { return coroutines_; }
  /// The forms that it knows.
  static const std::set<std::string>& known_forms();

 private:
  struct entry {
    mobius::deferred<val> handle;
    mobius::resolver<val> fire;
  };
  using outcome = std::variant<mobius::result<val>, mobius::deferred<val>>;

  void out(std::string token) { trace_.push_back(std::move(token)); }
  void statement(const form& f);
  void execute(const form& f);
  void make(const form& f);
  void add_stage(const form& f);
  void add_limit(const form& f);
  void fire(const form& f);
  void show(const std::string& name);
  void deep(const form& f);
  void drop(const std::string& name);
  entry& bind(const std::string& name, mobius::deferred<val> d);
  mobius::deferred<val> hand(const std::string& name);
  outcome body(const std::string& label, const form& list, std::size_t first, mobius::result<val> in);
  mobius::result<val> plain(const std::string& label, const form& list, std::size_t first,
                            mobius::result<val> in);
  mobius::deferred<val> waiting(const std::string& label, const form& list, std::size_t first,
                                mobius::result<val> in);
  mobius::deferred<val> stage_coroutine(const std::string& label, const form& list, std::size_t first,
                                        mobius::result<val> in);
  mobius::task<val> coroutine(std::string label, const std::vector<form>& statements, std::size_t first);
  mobius::task<val> attempt(std::string label, const form& f);
  mobius::task<val> with_cleanup(std::string label, const form& f);

  style style_;
  std::map<std::string, entry> names_;
  std::vector<std::string> order_;
  std::vector<std::string> trace_;
  std::set<std::string> gone_;
  std::set<std::string> coroutines_;
  fake_clock clock_;
  mobius::unhandled_hook previous_hook_;
};

}  // namespace dtl
