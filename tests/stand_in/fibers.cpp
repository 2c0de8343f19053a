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

/// The threads of a block in order.
void next_thread(uint3& thread) {
  if (++thread.x < place.threads.x) return;
  thread.x = 0;
  if (++thread.y < place.threads.y) return;
  thread.y = 0;
  ++thread.z;
}

}  // namespace

bool run_to_barriers(void (*kernel)(const void*), const void* self) {
  static std::vector<Fiber> fibers(1024);
  const unsigned count = place.threads.x * place.threads.y * place.threads.z;
  for (bool first_round = true;; first_round = false) {
    unsigned waiting = 0;
    uint3 thread{0, 0, 0};
    for (unsigned i = 0; i < count; ++i, next_thread(thread)) {
      if (!first_round && fibers[i].state != Fiber::State::at_barrier) continue;
      place.thread = thread;
      fibers[i].run(kernel, self);
      waiting += fibers[i].state == Fiber::State::at_barrier;
      if (first_round && i == 0 && waiting == 0) return false;
    }
    if (waiting == 0) return true;
    if (waiting != count) gpu.problem("a kernel", "a barrier that not all threads of a block reach");
  }
}

void barrier() {
  if (Fiber::running) {
    Fiber::running->leave(Fiber::State::at_barrier);
  } else {
    gpu.problem("a kernel", "a barrier that not all threads of a block reach");
  }
}

}  // namespace stand_in
