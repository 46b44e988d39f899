#pragma once
// Runs a program of the test language on mobius' deferreds and writes its trace. Everything in it
// is a deferred<val>, so every stage keeps the type and is added in place.

#include <mobius/deferred/deferred.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

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
  /// What the stages of a program are made of: callbacks; callbacks that are coroutines; or coroutines
  /// that await the chain so far, wherever a chain is linear.
  enum class style { callbacks, coroutines, awaits };

  explicit interpreter(style s = style::callbacks);
  interpreter(const interpreter&) = delete;
  interpreter& operator=(const interpreter&) = delete;
  ~interpreter();

  /// Runs it and returns its trace.
  std::vector<std::string> run(const std::vector<form>& program);

  /// How many coroutines have stood for callbacks, in the style of awaits.
  int awaiting() const { return awaiting_; }
  /// Names that were handed to a chain, coroutine or the like: they have no handle any more.
  const std::set<std::string>& handed_over() const { return gone_; }
  /// Names of coroutines, and of what maybe_deferred gave: whether these wait or are pending is told
  /// apart in another way than by Twisted.
  const std::set<std::string>& rewrapped() const { return rewrapped_; }

 private:
  struct entry {
    mobius::deferred<val> handle;
    mobius::resolver<val> fire;
  };
  /// A lock or semaphore, by its three uses.
  struct holder {
    std::unique_ptr<mobius::deferred_lock> lock;
    std::unique_ptr<mobius::deferred_semaphore> semaphore;
  };
  using queue = mobius::deferred_queue<val>;
  using outcome = std::variant<mobius::result<val>, mobius::deferred<val>>;

  void out(std::string token) { trace_.push_back(std::move(token)); }
  void statement(const form& f);
  void execute(const form& f);
  void make(const form& f);
  void add_stage(const form& f);
  void add_awaiting(const std::string& name, std::vector<const form*> stages);
  mobius::deferred<val> awaiting_chain(mobius::deferred<val> d, std::vector<const form*> stages);
  mobius::deferred<val> side_of(const form& stage, mobius::result<val>& in);
  void add_limit(const form& f);
  void fire(const form& f);
  void make_list(const form& f);
  bool list_form(const form& f);
  bool timer_form(const form& f);
  bool loop_form(const form& f);
  bool holder_form(const form& f);
  void acquire(const form& f);
  void run_holding(const form& f);
  void call_later(const form& f);
  void move_timer(const form& f);
  void start_loop(const form& f);
  std::vector<mobius::deferred<val>> hand_all(const form& f, std::size_t first);
  bool let_waiting_go();
  entry& named(const form& word);
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
  std::set<std::string> rewrapped_;
  int awaiting_ = 0;
  mobius::test_clock clock_;
  std::map<std::string, mobius::test_call> timers_;
  std::map<std::string, holder> holders_;
  std::map<std::string, std::unique_ptr<queue>> queues_;
  std::map<std::string, std::shared_ptr<mobius::looping_call>> loops_;
  std::vector<std::shared_ptr<mobius::looping_call>> replaced_loops_;
  std::vector<std::weak_ptr<mobius::resolver<val>>> chains_;  // what their stages fire
  mobius::unhandled_hook previous_hook_;
};

}  // namespace dtl
