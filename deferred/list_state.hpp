#pragma once
// What a list of deferreds is made of: one block behind the core that it fires, with an entry for
// each input. An entry is the end of its input's chain and keeps the outcome.

#include <array>
#include <memory>
#include <tuple>
#include <variant>
#include <vector>

#include "coroutine.hpp"

namespace mobius::detail {

class list_control;

/// An input of a list, its type left out.
class list_entry_base : public taker {
 public:
  list_entry_base(list_control& list, std::uint32_t index, const std::source_location& site) noexcept
      : taker{&take_outcome, site}, list_(list), index_(index) {}

  /// `t` as an entry, or null if it is another taker.
  static const list_entry_base* from(const taker* t) noexcept {
    return t->end == &take_outcome ? static_cast<const list_entry_base*>(t) : nullptr;
  }
  /// The list.
  const list_control& list() const noexcept { return list_; }
  /// The core that it waits for, or null.
  core* awaited() noexcept { return waits_ ? pending() : nullptr; }

  /// Starts to wait for the input.
  void begin() noexcept;
  /// Asks the input to end, if it has not.
  void cancel() noexcept;
  /// The failure that it ended with, or null.
  virtual const failure* failed() noexcept = 0;

  std::uint32_t index() const noexcept { return index_; }
  /// True if it was ended by a cancel for good.
  bool stopped() const noexcept { return stopped_; }

 protected:
  ~list_entry_base() = default;

 private:
  static core* take_outcome(taker* t, core* c) noexcept;
  core* ended(core* c) noexcept;
  virtual core* pending() noexcept = 0;        // its core, or null if its outcome is there
  virtual void take(core* from) noexcept = 0;  // the outcome

  list_control& list_;
  std::uint32_t index_;
  bool waits_ = false;
  bool stopped_ = false;
};

/// How a list ends before all its inputs have, and what then becomes of the others.
struct list_rules {
  bool at_value = false;
  bool at_failure = false;
  bool cancels_rest = false;
  bool ends_at_cancel = false;  // as an ordinary deferred does; else only its inputs' ends end it
};

/// A list, its types left out: counts its entries and decides when it fires `outer`.
class list_control {
 public:
  list_control(core* outer, list_rules rules, std::uint32_t size, const std::source_location& where);
  list_control(const list_control&) = delete;
  list_control& operator=(const list_control&) = delete;

  /// Starts to wait for all inputs. The list destroys itself when the last has ended.
  void start() noexcept;
  /// An input has ended. Returns the outer core if its stages are to run now.
  core* arrived(list_entry_base& e) noexcept;
  /// Asks all inputs to end, in order.
  void cancel_all() noexcept;

  /// What it fires.
  core* fires() const noexcept { return outer_; }
  /// How many inputs it has.
  std::uint32_t size() const noexcept { return size_; }
  /// The core of an input that it still waits for, or null.
  core* awaited(std::uint32_t index) noexcept { return entry(index).awaited(); }

 protected:
  ~list_control() = default;

  core* const outer_;

 private:
  virtual list_entry_base& entry(std::uint32_t index) noexcept = 0;
  virtual void put_winner(std::uint32_t index) = 0;  // into the slot of `outer_`
  virtual void put_all() = 0;
  virtual void destroy() noexcept = 0;

  void cancel_rest(const list_entry_base* winner) noexcept;
  void put_failure(list_entry_base& e);
  void put_group();
  void let_go() noexcept;
  template <class Put>
  core* fire(Put&& put) noexcept;

  list_rules rules_;
  std::uint32_t size_;
  std::uint32_t pending_;
  std::uint32_t holds_;  // pending entries, and calls that run
  bool decided_ = false;
  std::source_location where_;
};

/// Passes the cancel of a list on to its inputs.
struct list_canceller : canceller {
  list_canceller(list_control& l, cancel_reply a) noexcept : canceller{&act_on}, list(l), answer(a) {}

  /// The list that will fire `c`, or null.
  static list_control* of(const core* c) noexcept {
    const bool is = !c->has(core::fired) && c->stop && c->stop->act == &act_on;
    return is ? &static_cast<list_canceller*>(c->stop)->list : nullptr;
  }

  list_control& list;
  cancel_reply answer;

 private:
  static cancel_reply act_on(canceller* c, core* target, step what) noexcept;
};

/// An input of a list.
template <class T>
class list_entry final : public list_entry_base {
 public:
  list_entry(list_control& list, std::uint32_t index, deferred<T>& d,
             const std::source_location& site) noexcept
      : list_entry_base(list, index, site) {
    out_.take(handle_of(d));
  }
  list_entry(const list_entry&) = delete;
  list_entry& operator=(const list_entry&) = delete;
  ~list_entry() { out_.discard(); }

  const failure* failed() noexcept override {
    return out_.state() == holding::error ? &out_.error() : nullptr;
  }
  /// Its value: nothing for void, the address of what a reference refers to.
  stored_t<T>&& value() noexcept { return std::move(out_.value()); }
  result<T> outcome() {
    if (const failure* f = failed()) return *f;
    return as_result_value<T>(out_.value());
  }

 private:
  core* pending() noexcept override { return out_.ready_here() ? nullptr : out_.promote(where); }
  void take(core* from) noexcept override {
    out_.forget();
    out_.take_result(from);
  }

  handle<T> out_;
};

/// The entries of a pack of inputs.
template <class... T>
class entry_pack {
 public:
  using values = std::tuple<stored_t<T>...>;
  using outcomes = std::tuple<result<T>...>;
  using one = std::variant<stored_t<T>...>;

  entry_pack(list_control& list, const std::source_location& where, deferred<T>&... inputs)
      : entry_pack(std::index_sequence_for<T...>(), list, where, inputs...) {}

  list_entry_base& operator[](std::uint32_t index) noexcept { return *at_[index]; }
  values take_values() {
    return std::apply([](auto&... e) { return values(e.value()...); }, all_);
  }
  outcomes take_outcomes() {
    return std::apply([](auto&... e) { return outcomes(e.outcome()...); }, all_);
  }
  one take_one(std::uint32_t index) { return take_from<0>(index); }

 private:
  // Converts to the entry, which is thus made in the tuple itself: it cannot move.
  template <class U>
  struct maker {
    operator list_entry<U>() const noexcept { return list_entry<U>(list, index, input, where); }
    list_control& list;
    std::uint32_t index;
    deferred<U>& input;
    const std::source_location& where;
  };

  template <std::size_t... I>
  entry_pack(std::index_sequence<I...>, list_control& list, const std::source_location& where,
             deferred<T>&... inputs)
      : all_(maker<T>{list, static_cast<std::uint32_t>(I), inputs, where}...), at_{&std::get<I>(all_)...} {}

  template <std::size_t I>
  one take_from(std::uint32_t index) {
    if constexpr (I + 1 < sizeof...(T)) {
      if (index != I) return take_from<I + 1>(index);
    }
    return one(std::in_place_index<I>, std::get<I>(all_).value());
  }

  std::tuple<list_entry<T>...> all_;
  std::array<list_entry_base*, sizeof...(T)> at_;
};

/// The entries of a range of inputs; they lie behind the list.
template <class T>
class entry_range {
 public:
  using values = std::vector<stored_t<T>>;
  using outcomes = std::vector<result<T>>;
  using one = stored_t<T>;

  entry_range(list_control& list, const std::source_location& where, void* memory,
              std::vector<deferred<T>>& inputs) noexcept
      : first_(static_cast<list_entry<T>*>(memory)) {
    for (deferred<T>& d : inputs) {
      new (first_ + size_) list_entry<T>(list, size_, d, where);
      ++size_;
    }
  }
  entry_range(const entry_range&) = delete;
  entry_range& operator=(const entry_range&) = delete;
  ~entry_range() { std::destroy_n(first_, size_); }

  list_entry_base& operator[](std::uint32_t index) noexcept { return first_[index]; }
  values take_values() {
    values all;
    all.reserve(size_);
    for (std::uint32_t i = 0; i < size_; ++i) all.push_back(first_[i].value());
    return all;
  }
  outcomes take_outcomes() {
    outcomes all;
    all.reserve(size_);
    for (std::uint32_t i = 0; i < size_; ++i) all.push_back(first_[i].outcome());
    return all;
  }
  one take_one(std::uint32_t index) { return first_[index].value(); }

 private:
  list_entry<T>* first_;
  std::uint32_t size_ = 0;
};

/// What a list gives: every outcome, every value, the first value and its index, or, in a race, the
/// index of the first value and that.
enum class list_kind : std::uint8_t { settle, gather, first, race };

template <list_kind Kind, class Entries>
struct list_value;
template <class Entries>
struct list_value<list_kind::settle, Entries> {
  using type = typename Entries::outcomes;
};
template <class Entries>
struct list_value<list_kind::gather, Entries> {
  using type = typename Entries::values;
};
template <class Entries>
struct list_value<list_kind::first, Entries> {
  using type = std::pair<typename Entries::one, std::size_t>;
};
template <class Entries>
struct list_value<list_kind::race, Entries> {
  using type = std::pair<std::size_t, typename Entries::one>;
};

/// A list. `own_block` is the size of its block if it did not fit behind the core.
template <list_kind Kind, class Entries>
class list_state final : public list_control {
 public:
  using type = typename list_value<Kind, Entries>::type;

  template <class... Args>
  list_state(core* outer, list_rules rules, std::uint32_t size, std::size_t own_block,
             const std::source_location& where, Args&&... args)
      : list_control(outer, rules, size, where),
        own_block_(own_block),
        entries_(*this, where, std::forward<Args>(args)...) {}

 private:
  list_entry_base& entry(std::uint32_t index) noexcept override { return entries_[index]; }
  void put_winner(std::uint32_t index) override {
    if constexpr (Kind == list_kind::first) put(type(entries_.take_one(index), index));
    if constexpr (Kind == list_kind::race) put(type(index, entries_.take_one(index)));
  }
  void put_all() override {
    if constexpr (Kind == list_kind::settle) put(entries_.take_outcomes());
    if constexpr (Kind == list_kind::gather) put(entries_.take_values());
  }
  void put(type&& value) {
    cell<type>::make(outer_->slot, std::move(value));
    outer_->ops = &ops_of<type>;
    outer_->result = kind::value;
  }
  void destroy() noexcept override {
    const std::size_t own = own_block_;
    core* block = outer_;
    this->~list_state();
    if (own != 0) free_frame(this, own);
    release_weak(block);
  }

  std::size_t own_block_;
  Entries entries_;
};

/// Where a list of `bytes` lies: behind its core, or in a block of its own if it is too long.
struct list_block {
  explicit list_block(std::size_t bytes, const std::source_location& where);

  core* outer;
  void* memory;
  std::size_t own_size;
};

template <class T>
void require_full(deferred<T>& d) {
  if (!d)
    throw no_deferred("an input of this list is empty: it was moved from, awaited or handed over before");
}

/// Makes a list of a pack.
template <list_kind Kind, class... T>
auto list_of_pack(list_rules rules, const std::source_location& where, deferred<T>... inputs) {
  using state = list_state<Kind, entry_pack<T...>>;
  (require_full(inputs), ...);
  const list_block at(sizeof(state), where);
  auto* list = new (at.memory) state(at.outer, rules, sizeof...(T), at.own_size, where, inputs...);
  auto d = deferred_access::of_core<typename state::type>(at.outer);
  list->start();
  return d;
}

/// Makes a list of a range.
template <list_kind Kind, class T>
auto list_of_range(list_rules rules, const std::source_location& where, std::vector<deferred<T>> inputs) {
  using state = list_state<Kind, entry_range<T>>;
  using entry = list_entry<T>;
  for (deferred<T>& d : inputs) require_full(d);
  constexpr std::size_t head = (sizeof(state) + alignof(entry) - 1) / alignof(entry) * alignof(entry);
  const list_block at(head + inputs.size() * sizeof(entry), where);
  auto* list =
      new (at.memory) state(at.outer, rules, static_cast<std::uint32_t>(inputs.size()), at.own_size, where,
                            static_cast<void*>(static_cast<std::byte*>(at.memory) + head), inputs);
  auto d = deferred_access::of_core<typename state::type>(at.outer);
  list->start();
  return d;
}

}  // namespace mobius::detail
