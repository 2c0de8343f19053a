/// Threads of a block that meet at barriers: each has a stack of its own, and one runs after the other from barrier to
/// barrier. Stacks are made once; a jump from one to another takes a few nanoseconds.
#include <ucontext.h>
#include <csetjmp>

#include <memory>
#include <vector>

#include "tests/stand_in/gpu.h"
#include "tests/stand_in/launch.h"

namespace stand_in {

Place place{};

namespace {

constexpr std::size_t kStackBytes = 1 << 17;

class Fiber {
 public:
  enum class State { running, at_barrier, finished };

  /// Goes on with `kernel`, or starts it, until its next barrier or end.
  void run(void (*kernel)(const void*), const void* self) {
    kernel_ = kernel;
    self_ = self;
    state = State::running;
    running = this;
    if (_setjmp(back_) == 0) go();
    running = nullptr;
  }
  /// Back to whoever runs this fiber, until it is run again.
  void leave(State why) {
    state = why;
    if (_setjmp(here_) == 0) _longjmp(back_, 1);
  }

  State state = State::finished;
  static inline Fiber* running = nullptr;

 private:
  [[noreturn]] void go() {
    if (stack_) _longjmp(here_, 1);
    stack_ = std::make_unique<char[]>(kStackBytes);
    ucontext_t start;
    getcontext(&start);
    start.uc_stack.ss_sp = stack_.get();
    start.uc_stack.ss_size = kStackBytes;
    start.uc_link = nullptr;
    makecontext(&start, &Fiber::start, 0);
    setcontext(&start);
    __builtin_unreachable();
  }
  static void start() {
    Fiber* const self = running;
    for (;;) {
      self->kernel_(self->self_);
      self->leave(State::finished);
    }
  }

  std::unique_ptr<char[]> stack_;
  jmp_buf here_, back_;
  void (*kernel_)(const void*) = nullptr;
  const void* self_ = nullptr;
};

/// A block's threads, each with its place in it.
class Team {
 public:
  /// Runs the first thread to its first barrier; if there is one all of them to their ends, block by block in this order
  /// or the other, since between barriers no order is promised.
  bool run(void (*kernel)(const void*), const void* self) {
    take_places();
    const auto waits = [&](std::size_t i) {
      place.thread = places_[i];
      fibers_[i].run(kernel, self);
      return fibers_[i].state == Fiber::State::at_barrier;
    };
    if (!waits(0)) return false;
    backwards_ = !backwards_;
    const std::size_t count = places_.size();
    std::size_t waiting = 1;
    for (bool first_round = true; waiting > 0; first_round = false) {
      if (!first_round) waiting = 0;
      for (std::size_t k = 0; k < count; ++k) {
        const std::size_t i = backwards_ ? count - 1 - k : k;
        const bool goes_on = first_round ? i > 0 : fibers_[i].state == Fiber::State::at_barrier;
        if (goes_on) waiting += waits(i);
      }
      if (waiting != 0 && waiting != count)
        gpu.problem("a kernel", "a barrier that not all threads of a block reach");
    }
    return true;
  }

 private:
  void take_places() {
    const auto [x, y, z] = place.threads;
    if (x == size_.x && y == size_.y && z == size_.z) return;
    size_ = place.threads;
    places_.clear();
    for (unsigned i = 0; i < x * y * z; ++i) places_.push_back({i % x, i / x % y, i / x / y});
  }

  std::vector<Fiber> fibers_{1024};
  dim3 size_{0, 0, 0};
  std::vector<uint3> places_;
  bool backwards_ = true;
};

}  // namespace

bool run_to_barriers(void (*kernel)(const void*), const void* self) {
  static Team team;
  return team.run(kernel, self);
}

void barrier() {
  if (Fiber::running) {
    Fiber::running->leave(Fiber::State::at_barrier);
  } else {
    gpu.problem("a kernel", "a barrier that not all threads of a block reach");
  }
}

}  // namespace stand_in
