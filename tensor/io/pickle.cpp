#include "tensor/io/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "tensor/error.h"
#include "tensor/text.h"

namespace damc::pickle {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxValues = 4'000'000;
constexpr std::size_t kMaxLine = 1000;  // of the names of a global

/// Operations by the names of Python's pickletools.
enum Opcode : std::uint8_t {
  MARK = '(',
  STOP = '.',
  NONE = 'N',
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  BININT = 'J',
  BININT1 = 'K',
  BININT2 = 'M',
  LONG1 = 0x8a,
  BINFLOAT = 'G',
  BINUNICODE = 'X',
  SHORT_BINUNICODE = 0x8c,
  BINSTRING = 'T',
  SHORT_BINSTRING = 'U',
  BINBYTES = 'B',
  SHORT_BINBYTES = 'C',
  EMPTY_LIST = ']',
  APPEND = 'a',
  APPENDS = 'e',
  EMPTY_TUPLE = ')',
  TUPLE = 't',
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  EMPTY_DICT = '}',
  SETITEM = 's',
  SETITEMS = 'u',
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  MEMOIZE = 0x94,
  BINGET = 'h',
  LONG_BINGET = 'j',
  GLOBAL = 'c',
  STACK_GLOBAL = 0x93,
  REDUCE = 'R',
  NEWOBJ = 0x81,
  BUILD = 'b',
  BINPERSID = 'Q',
  PROTO = 0x80,
  FRAME = 0x95,
};

/// The machine that a pickle is a program of, reduced to what builds values.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where,
          std::span<const std::string_view> may_call, std::deque<Value>& values)
      : bytes_(bytes.first(std::min(bytes.size(), kMaxBytes))),
        cut_(bytes.size() > kMaxBytes),
        where_(where),
        may_call_(may_call),
        values_(values) {}

  const Value* run() {
    for (;;) {
      operation_ = position_;
      const auto op = take<std::uint8_t>();
      if (op == STOP) break;
      if (!constant(op) && !text(op) && !container(op) && !memo(op) && !reference(op))
        fail(fmt::format("operation 0x{:02x} is none that tensors need", op), kOther);
    }
    const Value* result = pop();
    if (!stack_.empty()) fail("it ends with more than one value");
    return result;
  }

  std::size_t position() const { return position_; }

 private:
  static constexpr const char* kDamaged = "the file is damaged or cut off; get it again";
  static constexpr const char* kOther =
      "no code of a file is run; save tensors alone, dense and of a usual type: "
      "torch.save(model.state_dict(), FILE)";

  [[noreturn]] void fail(const std::string& reason, const char* hint = kDamaged) const {
    user_error(fmt::format("{}: {} (byte {} of its pickle)", where_, reason, operation_), hint);
  }

  std::span<const std::byte> take_bytes(std::uint64_t count) {
    if (count > bytes_.size() - position_)
      fail(cut_ ? fmt::format("the pickle has more than {} bytes", kMaxBytes) : "the pickle has no end");
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof value).data(), sizeof value);
    return value;
  }
  std::string take_text(std::uint64_t length) {
    const auto taken = take_bytes(length);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  std::string take_line() {
    const auto rest = bytes_.subspan(position_, std::min(kMaxLine, bytes_.size() - position_));
    const auto end = std::ranges::find(rest, std::byte{'\n'});
    if (end == rest.end()) fail("a name without an end");
    std::string line = take_text(static_cast<std::uint64_t>(end - rest.begin()));
    ++position_;
    return line;
  }

  /// Marks are null.
  void push(Value* value) {
    if (stack_.size() >= kMaxValues) fail(fmt::format("more than {} values at a time", kMaxValues));
    stack_.push_back(value);
  }
  template <class T>
  bool push_new(T&& content) {
    if (values_.size() >= kMaxValues) fail(fmt::format("more than {} values", kMaxValues));
    push(&values_.emplace_back(Value{std::forward<T>(content)}));
    return true;
  }
  Value* top() {
    if (stack_.empty() || !stack_.back()) fail("a value is missing");
    return stack_.back();
  }
  Value* pop() {
    Value* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<const Value*> pop_many(std::size_t count) {
    std::vector<const Value*> popped(count);
    for (std::size_t i = count; i-- > 0;) popped[i] = pop();
    return popped;
  }
  std::vector<const Value*> pop_to_mark() {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), nullptr);
    if (mark == stack_.rend()) fail("a mark is missing");
    std::vector<const Value*> popped = pop_many(static_cast<std::size_t>(mark - stack_.rbegin()));
    stack_.pop_back();
    return popped;
  }

  bool constant(std::uint8_t op) {
    switch (op) {
      case NONE:
        return push_new(std::monostate{});
      case NEWTRUE:
        return push_new(true);
      case NEWFALSE:
        return push_new(false);
      case BININT:
        return push_new(std::int64_t{take<std::int32_t>()});
      case BININT1:
        return push_new(std::int64_t{take<std::uint8_t>()});
      case BININT2:
        return push_new(std::int64_t{take<std::uint16_t>()});
      case LONG1:
        return push_long();
      case BINFLOAT:
        return push_new(std::bit_cast<double>(__builtin_bswap64(take<std::uint64_t>())));
      default:
        return false;
    }
  }

  /// An integer of any length. One that 64 bits do not hold, as in the state of NumPy's generators, becomes a name.
  bool push_long() {
    const auto bytes = take_bytes(take<std::uint8_t>());
    if (bytes.size() > 8) return push_new(Global{"int"});
    std::uint64_t value = !bytes.empty() && std::to_integer<int>(bytes.back()) >= 128 ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, bytes.data(), bytes.size());  // over the sign
    return push_new(static_cast<std::int64_t>(value));
  }

  bool text(std::uint8_t op) {
    switch (op) {
      case SHORT_BINUNICODE:
      case SHORT_BINSTRING:
      case SHORT_BINBYTES:
        return push_new(take_text(take<std::uint8_t>()));
      case BINUNICODE:
      case BINSTRING:
      case BINBYTES:
        return push_new(take_text(take<std::uint32_t>()));
      default:
        return false;
    }
  }

  bool container(std::uint8_t op) {
    switch (op) {
      case MARK:
        push(nullptr);
        return true;
      case EMPTY_LIST:
      case EMPTY_TUPLE:
        return push_new(Sequence{});
      case EMPTY_DICT:
        return push_new(Dictionary{});
      case TUPLE:
        return push_new(Sequence{pop_to_mark()});
      case TUPLE1:
      case TUPLE2:
      case TUPLE3:
        return push_new(Sequence{pop_many(op - TUPLE1 + 1u)});
      case APPEND:
        return append(pop_many(1));
      case APPENDS:
        return append(pop_to_mark());
      case SETITEM:
        return set_items(pop_many(2));
      case SETITEMS:
        return set_items(pop_to_mark());
      default:
        return false;
    }
  }

  bool append(const std::vector<const Value*>& items) {
    auto* sequence = std::get_if<Sequence>(&top()->content);
    if (!sequence) fail("something is appended to what is no list", kOther);
    sequence->items.insert(sequence->items.end(), items.begin(), items.end());
    return true;
  }

  bool set_items(const std::vector<const Value*>& items) {
    Value* target = top();
    auto* dictionary = std::get_if<Dictionary>(&target->content);
    auto* call = std::get_if<Call>(&target->content);
    if ((!dictionary && !call) || items.size() % 2) fail("items are set in what is no dictionary", kOther);
    Items& into = dictionary ? dictionary->items : call->items;
    for (std::size_t i = 0; i < items.size(); i += 2) into.emplace_back(items[i], items[i + 1]);
    return true;
  }

  bool memo(std::uint8_t op) {
    switch (op) {
      case BINPUT:
        memo_[take<std::uint8_t>()] = top();
        return true;
      case LONG_BINPUT:
        memo_[take<std::uint32_t>()] = top();
        return true;
      case MEMOIZE:
        memo_[static_cast<std::uint32_t>(memo_.size())] = top();
        return true;
      case BINGET:
        push(remembered(take<std::uint8_t>()));
        return true;
      case LONG_BINGET:
        push(remembered(take<std::uint32_t>()));
        return true;
      default:
        return false;
    }
  }

  Value* remembered(std::uint32_t number) const {
    const auto found = memo_.find(number);
    if (found == memo_.end()) fail(fmt::format("value {} is used before there is one", number));
    return found->second;
  }

  /// What a pickle takes from elsewhere: names, calls, states and what its writer keeps.
  bool reference(std::uint8_t op) {
    switch (op) {
      case PROTO: {
        const auto protocol = take<std::uint8_t>();
        if (protocol < 2 || protocol > 5)
          fail(fmt::format("pickles of protocol {} are not read", protocol), kOther);
        return true;
      }
      case FRAME:
        take<std::uint64_t>();
        return true;
      case GLOBAL: {
        const std::string module = take_line();
        return push_new(Global{module + "." + take_line()});
      }
      case STACK_GLOBAL:
        return stack_global();
      case REDUCE:
      case NEWOBJ:
        return call();
      case BUILD:
        pop();
        top();
        return true;
      case BINPERSID:
        return push_new(Persistent{pop()});
      default:
        return false;
    }
  }

  bool stack_global() {
    const auto* name = pop()->as<std::string>();
    const auto* module = pop()->as<std::string>();
    if (!name || !module || name->size() > kMaxLine || module->size() > kMaxLine)
      fail("a global without a name");
    return push_new(Global{*module + "." + *name});
  }

  bool call() {
    const Value* arguments = pop();
    const auto* callee = pop()->as<Global>();
    if (!callee || !arguments->as<Sequence>()) fail("a call of what is no function", kOther);
    if (std::ranges::find(may_call_, callee->name) == may_call_.end())
      fail(fmt::format("it calls {}, which is none of the calls that are read", in_quotes(callee->name)),
           kOther);
    return push_new(Call{callee->name, arguments, {}});
  }

  std::span<const std::byte> bytes_;
  bool cut_;
  const std::string& where_;
  std::span<const std::string_view> may_call_;
  std::deque<Value>& values_;
  std::vector<Value*> stack_;
  std::unordered_map<std::uint32_t, Value*> memo_;
  std::size_t position_ = 0, operation_ = 0;
};

}  // namespace

Pickle::Pickle(std::span<const std::byte> bytes, const std::string& where,
               std::span<const std::string_view> may_call) {
  Machine machine(bytes, where, may_call, values_);
  root_ = machine.run();
  size_ = machine.position();
}

}  // namespace damc::pickle
