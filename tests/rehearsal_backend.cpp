#include "tests/rehearsal_backend.h"

#include <fmt/ranges.h>
#include <cmath>

#include "tensor/error.h"
#include "tests/guarded_backend.h"

namespace damc {
namespace {

Tensor borrowed(const Tensor& t) {
  return t.defined() ? Tensor::borrow(t.raw(), t.shape(), t.strides(), t.dtype(), t.device()) : Tensor();
}

Operands borrowed(const Operands& all) {
  Operands kept;
  for (const Tensor& t : all) kept.push_back(borrowed(t));
  return kept;
}

}  // namespace

/// One run of a step whose work is not run: every call as a text in which the step's own memory has numbers, by
/// the order in which it was taken.
class RehearsalBackend::Run {
 public:
  /// What becomes of a call: its text, and how to run it (empty: nothing to run). Returns what is wrong with it.
  using Note = std::function<std::string(const std::string& text, std::function<void()> call)>;

  Run(RehearsalBackend& owner, Note note) : owner_(owner), note_(std::move(note)) {
    ENSURE(!owner.run_, "rehearsal: a step is recorded within another");
    owner_.run_ = this;
  }
  ~Run() { owner_.run_ = nullptr; }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void take(void* block, std::size_t bytes) {
    own_[static_cast<const std::byte*>(block)] = {bytes, ++taken_};
    note(fmt::format("takes block {} of {} bytes", taken_, bytes),
         [&owner = owner_, block, bytes] { owner.poison(block, bytes); });
  }
  void give_back(void* block) {
    const auto found = own_.find(static_cast<const std::byte*>(block));
    if (found == own_.end()) {
      if (problem_.empty()) problem_ = "a recorded step gives back memory that it did not take";
      return;
    }
    note(fmt::format("gives back block {}", found->second.number), {});
    own_.erase(found);
  }
  void kernel(const KernelCall& call, std::function<void()> run) {
    note(fmt::format("{}({} -> {}; {})", call.kernel, describe(call.reads), describe(call.writes),
                     fmt::join(call.numbers, ", ")),
         std::move(run));
  }

  /// Throws Error with the first thing that was wrong. Not earlier: memory is also given back where nothing may be
  /// thrown.
  void finish() const { ENSURE(problem_.empty(), "rehearsal: {}", problem_); }

 private:
  struct Block {
    std::size_t bytes;
    int number;
  };

  void note(const std::string& text, std::function<void()> call) {
    if (problem_.empty()) problem_ = note_(text, std::move(call));
  }
  std::string describe(const Operands& operands) const {
    std::string text;
    for (const Tensor& t : operands) text += (text.empty() ? "" : ", ") + describe(t);
    return text;
  }
  std::string describe(const Tensor& t) const {
    if (!t.defined()) return "none";
    const auto* first = static_cast<const std::byte*>(t.raw());
    std::string place = fmt::format("{}", static_cast<const void*>(first));
    if (auto after = own_.upper_bound(first); after != own_.begin()) {
      const auto& [start, block] = *std::prev(after);
      if (first < start + block.bytes) place = fmt::format("block {} + {}", block.number, first - start);
    }
    return fmt::format("{} {} {} strides {}", place, name(t.dtype()), t.shape().str(), t.strides().str());
  }

  RehearsalBackend& owner_;
  Note note_;
  std::map<const std::byte*, Block> own_;  // that is out
  int taken_ = 0;
  std::string problem_;
};

/// A captured step.
class RehearsalBackend::Rehearsal final : public Recording {
 public:
  explicit Rehearsal(RehearsalBackend& owner) : owner_(owner), arena_(owner.arenas_.of_steps(source())) {}

  void run(const Work& work) override { work(); }

  void record(const Work& work) override {
    ENSURE(calls_.empty(), "rehearsal: a step is recorded twice");
    const Arenas::Use use(owner_.arenas_, arena_);
    std::vector<Call> calls;
    Run run(owner_, [&](const std::string& text, std::function<void()> call) {
      calls.push_back({text, std::move(call)});
      return std::string();
    });
    work();
    run.finish();
    ENSURE(!arena_->anything_out(), "rehearsal: a tensor that was made in a recorded step outlives it");
    work_ = work;
    calls_ = std::move(calls);
  }

  void replay() override {
    rehearse();
    for (const Call& call : calls_) {
      if (call.run) call.run();
      owner_.replayed_kernels_ += call.run != nullptr;
    }
    ++owner_.replays_;
  }

 private:
  struct Call {
    std::string text;
    std::function<void()> run;
  };

  Arena::Source source() const {
    Backend& inner = *owner_.inner_;
    return {[&inner](std::size_t bytes) { return inner.allocate(bytes); },
            [&inner](void* block, std::size_t bytes) { inner.release(block, bytes); }};
  }

  /// Has the step issue its work again, on memory that nobody reads, and compares it with the notes.
  void rehearse() {
    std::size_t next = 0;
    const Arenas::Use use(owner_.arenas_, std::make_shared<Arena>(source()));
    Run run(owner_, [&](const std::string& text, const std::function<void()>&) {
      const std::string was = next < calls_.size() ? calls_[next].text : "the end";
      ++next;
      return text == was ? std::string()
                         : fmt::format("call {} of the step was\n  {}\nand is now\n  {}", next, was, text);
    });
    work_();
    run.finish();
  }

  RehearsalBackend& owner_;
  std::shared_ptr<Arena> arena_;
  Work work_;
  std::vector<Call> calls_;
};

RehearsalBackend::RehearsalBackend() : inner_(std::make_unique<GuardedBackend>()) {}

std::unique_ptr<Recording> RehearsalBackend::make_recording() { return std::make_unique<Rehearsal>(*this); }

void* RehearsalBackend::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (!arenas_.in_use()) return inner_->allocate(bytes);
  void* block = arenas_.allocate(bytes);
  if (run_) {
    run_->take(block, bytes);
  } else {
    poison(block, bytes);
  }
  return block;
}

void RehearsalBackend::release(void* block, std::size_t bytes) {
  if (!block) return;
  if (run_) run_->give_back(block);
  if (!arenas_.release(block)) inner_->release(block, bytes);
}

void RehearsalBackend::poison(void* block, std::size_t bytes) {
  const auto count = static_cast<std::int64_t>(bytes / sizeof(float));
  inner_->fill(std::nan(""), Tensor::borrow(block, {count}, {1}, Dtype::f32, GuardedDevice::device));
}

void RehearsalBackend::copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) {
  ENSURE(!run_, "rehearsal: a copy of {} bytes {} the device while a step is recorded", bytes,
         kind == CopyKind::host_to_device ? "to" : "from");
  inner_->copy_bytes(to, from, bytes, kind);
}

void RehearsalBackend::synchronize() {
  ENSURE(!run_, "rehearsal: the host waits for the device while a step is recorded");
  inner_->synchronize();
}

void RehearsalBackend::intercept(const KernelCall& call) {
  if (!run_) {
    call(*inner_);
    return;
  }
  KernelCall kept = call;
  kept.reads = borrowed(call.reads);
  kept.writes = borrowed(call.writes);
  run_->kernel(call, [&inner = *inner_, kept = std::move(kept)] { kept(inner); });
}

Tensor RehearsalBackend::rounded(const Tensor& filter, Dtype images) {
  return rounded_(filter, images).to(filter.dtype());
}

void RehearsalBackend::pin(const Tensor& weight) {
  rounded_.pin(weight);
  intercept({"pin", {weight}, {}, {}, 0, [](Backend& on, auto& r, auto&) { on.pin(r[0]); }});
}
void RehearsalBackend::unpin(const Tensor& weight) {
  rounded_.unpin(weight);
  intercept({"unpin", {weight}, {}, {}, 0, [](Backend& on, auto& r, auto&) { on.unpin(r[0]); }});
}

}  // namespace damc
