#include "tests/rehearsal_backend.h"

#include <fmt/ranges.h>
#include <cmath>

#include "tensor/error.h"
#include "tests/guarded_backend.h"

namespace damc {
namespace {

/// A null operand becomes an undefined one, and back.
Tensor optional(const Tensor* t) { return t ? *t : Tensor(); }
const Tensor* optional(const Tensor& t) { return t.defined() ? &t : nullptr; }

Tensor borrowed(const Tensor& t) {
  return t.defined() ? Tensor::borrow(t.raw(), t.shape(), t.strides(), t.dtype(), t.device()) : Tensor();
}

/// An activation that may ride on a kernel, by value.
class Activation {
 public:
  explicit Activation(const Unary* f) : set_(f != nullptr), f_(f ? *f : Unary{}) {}
  const Unary* get() const { return set_ ? &f_ : nullptr; }
  void append_to(std::vector<double>& numbers) const {
    for (const double number : {set_ ? 1.0 : 0.0, static_cast<double>(f_.op), f_.p0, f_.p1})
      numbers.push_back(number);
  }

 private:
  bool set_;
  Unary f_;
};

std::vector<double> numbers_of(const Unary& f) { return {static_cast<double>(f.op), f.p0, f.p1}; }

std::vector<double> numbers_of(const ConvGeometry& s) {
  std::vector<double> numbers;
  for (const std::int64_t n :
       {s.n, s.in_h, s.in_w, s.in_c, s.out_h, s.out_w, s.out_c, s.kernel_h, s.kernel_w, s.stride, s.padding})
    numbers.push_back(static_cast<double>(n));
  return numbers;
}

std::vector<double> numbers_of(const RandomSlice& slice) {
  return {static_cast<double>(slice.stream), static_cast<double>(slice.delta)};
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
  void kernel(const char* name, const Operands& operands, const std::vector<double>& numbers,
              std::function<void()> call) {
    note(fmt::format("{}({}; {})", name, describe(operands), fmt::join(numbers, ", ")), std::move(call));
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

/// A recorded step.
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

void RehearsalBackend::issue(const char* kernel, const Operands& operands, const std::vector<double>& numbers,
                             Kernel call) {
  if (!run_) {
    call(*inner_, operands);
    return;
  }
  Operands kept;
  for (const Tensor& t : operands) kept.push_back(borrowed(t));
  run_->kernel(kernel, operands, numbers,
               [&inner = *inner_, kept = std::move(kept), call = std::move(call)] { call(inner, kept); });
}

Tensor RehearsalBackend::rounded(const Tensor& filter, Dtype images) {
  return rounded_(filter, images).to(filter.dtype());
}

void RehearsalBackend::hold(const Tensor& weight) {
  rounded_.hold(weight);
  issue("hold", {weight}, {}, [](Backend& on, const Operands& t) { on.hold(t[0]); });
}
void RehearsalBackend::release(const Tensor& weight) {
  rounded_.release(weight);
  issue("release", {weight}, {}, [](Backend& on, const Operands& t) { on.release(t[0]); });
}
void RehearsalBackend::fill(double value, const Tensor& out) {
  issue("fill", {out}, {value}, [=](Backend& on, const Operands& t) { on.fill(value, t[0]); });
}
void RehearsalBackend::copy(const Tensor& in, const Tensor& out) {
  issue("copy", {in, out}, {}, [](Backend& on, const Operands& t) { on.copy(t[0], t[1]); });
}
void RehearsalBackend::unary(const Unary& f, const Tensor& x, const Tensor& out) {
  issue("unary", {x, out}, numbers_of(f), [=](Backend& on, const Operands& t) { on.unary(f, t[0], t[1]); });
}
void RehearsalBackend::unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                                 const Tensor& out) {
  issue("unary_vjp", {g, x, y, out}, numbers_of(f),
        [=](Backend& on, const Operands& t) { on.unary_vjp(f, t[0], t[1], t[2], t[3]); });
}
void RehearsalBackend::binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) {
  issue("binary", {a, b, out}, {static_cast<double>(f)},
        [=](Backend& on, const Operands& t) { on.binary(f, t[0], t[1], t[2]); });
}
void RehearsalBackend::sum(const Tensor& x, const Tensor& out) {
  issue("sum", {x, out}, {}, [](Backend& on, const Operands& t) { on.sum(t[0], t[1]); });
}
void RehearsalBackend::sum_squares(std::span<const Tensor> xs, const Tensor& out) {
  Operands operands(xs.begin(), xs.end());
  operands.push_back(out);
  issue("sum_squares", operands, {},
        [](Backend& on, const Operands& t) { on.sum_squares(std::span(t).first(t.size() - 1), t.back()); });
}
void RehearsalBackend::instance_norm_stats(const Tensor& x, double eps, const Tensor& mean,
                                           const Tensor& rstd) {
  issue("instance_norm_stats", {x, mean, rstd}, {eps},
        [=](Backend& on, const Operands& t) { on.instance_norm_stats(t[0], eps, t[1], t[2]); });
}
void RehearsalBackend::instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                                     const Tensor& b, const Unary* activation, const Tensor& out) {
  const Activation act(activation);
  std::vector<double> numbers;
  act.append_to(numbers);
  issue("instance_norm", {x, mean, rstd, w, b, out}, numbers, [=](Backend& on, const Operands& t) {
    on.instance_norm(t[0], t[1], t[2], t[3], t[4], act.get(), t[5]);
  });
}
void RehearsalBackend::fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) {
  issue("fourier_features", {t, z, out}, {},
        [](Backend& on, const Operands& o) { on.fourier_features(o[0], o[1], o[2]); });
}
void RehearsalBackend::fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) {
  issue("fourier_features_vjp", {g, y, out}, {},
        [](Backend& on, const Operands& t) { on.fourier_features_vjp(t[0], t[1], t[2]); });
}
void RehearsalBackend::gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary* activation,
                                 const Tensor& out) {
  const Activation act(activation);
  std::vector<double> numbers;
  act.append_to(numbers);
  issue("gated_sum", {y, b, c, out}, numbers,
        [=](Backend& on, const Operands& t) { on.gated_sum(t[0], t[1], t[2], act.get(), t[3]); });
}
void RehearsalBackend::instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean,
                                          const Tensor& rstd, const Tensor& sum_g, const Tensor& sum_gx) {
  issue("instance_norm_sums", {g, x, mean, rstd, sum_g, sum_gx}, {},
        [](Backend& on, const Operands& t) { on.instance_norm_sums(t[0], t[1], t[2], t[3], t[4], t[5]); });
}
void RehearsalBackend::instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean,
                                            const Tensor& rstd, const Tensor& w, const Tensor& sum_g,
                                            const Tensor& sum_gx, const Tensor& out) {
  issue("instance_norm_grad_x", {g, x, mean, rstd, w, sum_g, sum_gx, out}, {},
        [](Backend& on, const Operands& t) {
          on.instance_norm_grad_x(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]);
        });
}
void RehearsalBackend::gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) {
  const Activation act(epilogue.activation);
  std::vector<double> numbers;
  act.append_to(numbers);
  issue("gemm", {a, b, optional(epilogue.bias), out}, numbers, [=](Backend& on, const Operands& t) {
    on.gemm(t[0], t[1], {optional(t[2]), act.get()}, t[3]);
  });
}
void RehearsalBackend::conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter,
                              const Epilogue& epilogue, const Tensor& out) {
  const Activation act(epilogue.activation);
  std::vector<double> numbers = numbers_of(s);
  act.append_to(numbers);
  issue("conv2d", {x, rounded(filter, x.dtype()), optional(epilogue.bias), out}, numbers,
        [=](Backend& on, const Operands& t) {
          on.conv2d(s, t[0], t[1], {optional(t[2]), act.get()}, t[3]);
        });
}
void RehearsalBackend::conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter,
                                     const Epilogue& epilogue, const Tensor& out) {
  const Activation act(epilogue.activation);
  std::vector<double> numbers = numbers_of(s);
  act.append_to(numbers);
  issue("conv2d_grad_x", {g, rounded(filter, g.dtype()), optional(epilogue.bias), out}, numbers,
        [=](Backend& on, const Operands& t) {
          on.conv2d_grad_x(s, t[0], t[1], {optional(t[2]), act.get()}, t[3]);
        });
}
void RehearsalBackend::conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x,
                                     const Tensor& out) {
  issue("conv2d_grad_w", {g, x, out}, numbers_of(s),
        [=](Backend& on, const Operands& t) { on.conv2d_grad_w(s, t[0], t[1], t[2]); });
}
void RehearsalBackend::normal(const RandomSlice& slice, const Tensor& out) {
  issue("normal", {*slice.state, out}, numbers_of(slice), [=](Backend& on, const Operands& t) {
    on.normal({&t[0], slice.stream, slice.delta}, t[1]);
  });
}
void RehearsalBackend::uniform(const RandomSlice& slice, const Tensor& out) {
  issue("uniform", {*slice.state, out}, numbers_of(slice), [=](Backend& on, const Operands& t) {
    on.uniform({&t[0], slice.stream, slice.delta}, t[1]);
  });
}
void RehearsalBackend::advance(const Tensor& state, std::uint64_t blocks) {
  issue("advance", {state}, {static_cast<double>(blocks)},
        [=](Backend& on, const Operands& t) { on.advance(t[0], blocks); });
}
void RehearsalBackend::noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                                    const RandomSlice* noise) {
  std::vector<double> numbers{scales.z, scales.g, scales.w};
  if (!noise) {
    issue("noisy_update", {z, g}, numbers,
          [=](Backend& on, const Operands& t) { on.noisy_update(t[0], t[1], scales, nullptr); });
    return;
  }
  for (const double number : numbers_of(*noise)) numbers.push_back(number);
  issue("noisy_update", {z, g, *noise->state}, numbers,
        [scales, stream = noise->stream, delta = noise->delta](Backend& on, const Operands& t) {
          const RandomSlice slice{&t[2], stream, delta};
          on.noisy_update(t[0], t[1], scales, &slice);
        });
}
void RehearsalBackend::adam(std::span<const AdamTensors> tensors, const AdamStep& step) {
  Operands operands{*step.schedule, optional(step.grad_norm), optional(step.watch)};
  for (const AdamTensors& t : tensors) operands.insert(operands.end(), {t.param, t.grad, t.m, t.v});
  issue("adam", operands, {step.max_norm, step.beta1, step.beta2, step.eps, step.weight_decay},
        [max_norm = step.max_norm, beta1 = step.beta1, beta2 = step.beta2, eps = step.eps,
         decay = step.weight_decay](Backend& on, const Operands& t) {
          std::vector<AdamTensors> all;
          for (std::size_t i = 3; i < t.size(); i += 4) all.push_back({t[i], t[i + 1], t[i + 2], t[i + 3]});
          on.adam(all, {&t[0], optional(t[1]), max_norm, beta1, beta2, eps, decay, optional(t[2])});
        });
}
void RehearsalBackend::adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor* watch) {
  issue("adam_tick", {schedule, optional(watch)}, {beta1, beta2},
        [=](Backend& on, const Operands& t) { on.adam_tick(t[0], beta1, beta2, optional(t[1])); });
}
void RehearsalBackend::watch(const Tensor& value, std::int64_t code, const Tensor& state) {
  issue("watch", {value, state}, {static_cast<double>(code)},
        [=](Backend& on, const Operands& t) { on.watch(t[0], code, t[1]); });
}
void RehearsalBackend::lerp(std::span<const LerpTensors> tensors, double rate, const Tensor* watch) {
  Operands operands{optional(watch)};
  for (const LerpTensors& t : tensors) operands.insert(operands.end(), {t.target, t.source});
  issue("lerp", operands, {rate}, [=](Backend& on, const Operands& t) {
    std::vector<LerpTensors> all;
    for (std::size_t i = 1; i < t.size(); i += 2) all.push_back({t[i], t[i + 1]});
    on.lerp(all, rate, optional(t[0]));
  });
}

}  // namespace damc
