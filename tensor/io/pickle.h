/// Python's pickles, taken apart without running anything: where a pickle asks for a call, the result says so and
/// nothing is called. Protocols 2 to 4, as PyTorch and numpy write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace damc::pickle {

struct Value;
using Items = std::vector<std::pair<const Value*, const Value*>>;

/// A list or a tuple.
struct Sequence {
  std::vector<const Value*> items;
};
/// A dictionary, in the order of its writing.
struct Dictionary {
  Items items;
};
/// A name of a class or function, "module.name".
struct Global {
  std::string name;
};
/// What a call of a class or function would have made, and the items that were set in it. Its state, if any, is lost.
struct Call {
  std::string callee;
  const Value* arguments;  ///< a Sequence
  Items items;
};
/// What the pickle's writer keeps elsewhere under an identity.
struct Persistent {
  const Value* id;
};

/// std::monostate is None; texts are UTF-8 or bytes, unchecked.
struct Value {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Sequence, Dictionary, Global, Call,
               Persistent>
      content;

  /// The content if it is of a type, else null.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&content);
  }
};

/// A pickle's value with all that it refers to, which may be shared and may contain itself.
class Pickle {
 public:
  /// Reads the pickle that `bytes` begin with. `may_call` are the globals whose calls are noted. Throws UserError, the
  /// message beginning with `where`, for a call of any other, for operations that tensors do not need, and for what is
  /// damaged or beyond 64 MiB or 4 million values.
  Pickle(std::span<const std::byte> bytes, const std::string& where,
         std::span<const std::string_view> may_call);

  Pickle(Pickle&&) = default;
  Pickle& operator=(Pickle&&) = delete;  // values refer to each other where they are

  const Value& root() const { return *root_; }
  /// Every value of it, in the order of their making.
  const std::deque<Value>& values() const { return values_; }
  /// Bytes that it takes.
  std::size_t size() const { return size_; }

 private:
  std::deque<Value> values_;
  const Value* root_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace damc::pickle
