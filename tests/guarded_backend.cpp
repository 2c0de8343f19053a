#include "tests/guarded_backend.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::size_t kCapacity = std::size_t{1} << 32;  // address space only, until it is used

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

/// Every block has pages of its own, so that opening one opens no other.
std::size_t whole_pages(std::size_t bytes) { return (bytes + page_size() - 1) / page_size() * page_size(); }

/// A guard that cannot be set would let tests pass that prove nothing.
void protect(void* first, std::size_t bytes, int rights) {
  if (mprotect(first, bytes, rights) == 0) return;
  fmt::print(stderr, "guarded device: mprotect of {} bytes: {}\n", bytes, std::strerror(errno));
  std::abort();
}

}  // namespace

/// A kernel or copy while it runs, and the memory it may touch; what it opens is closed when the outermost
/// one ends.
class GuardedBackend::Access {
 public:
  explicit Access(GuardedBackend& owner) : owner_(owner) { ++owner_.running_; }
  ~Access() {
    if (--owner_.running_ > 0) return;
    for (const auto& [first, bytes] : owner_.open_) protect(first, bytes, PROT_NONE);
    owner_.open_.clear();
  }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  void open(const void* data, std::size_t bytes) {
    const std::size_t before = static_cast<std::size_t>(static_cast<const std::byte*>(data) - owner_.memory_);
    const std::size_t start = before / page_size() * page_size();
    owner_.open_.emplace_back(owner_.memory_ + start, whole_pages(before + bytes - start));
    protect(owner_.open_.back().first, owner_.open_.back().second, PROT_READ | PROT_WRITE);
  }
  /// The memory from a tensor's first element to its last.
  void open(const Tensor& t) {
    std::int64_t last = 0;
    for (int d = 0; d < t.ndim(); ++d) last += (t.shape()[d] - 1) * t.strides()[d];
    open(t.raw(), static_cast<std::size_t>(last + 1) * size_of(t.dtype()));
  }

 private:
  GuardedBackend& owner_;
};

GuardedBackend::GuardedBackend() : cpu_(backend(Device{})) {
  void* mapped = mmap(nullptr, kCapacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ENSURE(mapped != MAP_FAILED, "guarded device: mmap of {} bytes: {}", kCapacity, std::strerror(errno));
  memory_ = static_cast<std::byte*>(mapped);
}

GuardedBackend::~GuardedBackend() { munmap(memory_, kCapacity); }

void* GuardedBackend::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const std::size_t size = whole_pages(bytes);
  auto& blocks = free_[size];
  void* block = nullptr;
  if (blocks.empty()) {
    ENSURE(used_ + size <= kCapacity, "guarded device: full; asked for {} bytes, {} in use", bytes, in_use_);
    block = memory_ + used_;
    used_ += size;
    blocks.reserve(blocks.capacity() + 1);  // so that release, called from destructors, cannot throw
  } else {
    block = blocks.back();
    blocks.pop_back();
  }
  in_use_ += size;
  Access access(*this);
  access.open(block, size);
  std::memset(block, 0xFF, size);
  return block;
}

void GuardedBackend::release(void* block, std::size_t bytes) {
  if (!block) return;
  const std::size_t size = whole_pages(bytes);
  free_[size].push_back(block);
  in_use_ -= size;
}

void GuardedBackend::copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) {
  if (bytes == 0) return;
  const bool up = kind == CopyKind::host_to_device;
  ENSURE(contains(to) == up && contains(from) != up, "guarded device: a copy {} the device with {}",
         up ? "to" : "from",
         contains(to) == contains(from) ? "both sides in one place" : "its sides exchanged");
  Access access(*this);
  access.open(up ? to : from, bytes);
  std::memcpy(to, from, bytes);
}

bool GuardedBackend::contains(const void* address) const {
  return address >= memory_ && address < memory_ + kCapacity;
}

/// `operands` may hold nulls: what a call does without.
template <class Call>
void GuardedBackend::run(const char* kernel, const std::vector<const Tensor*>& operands, const Call& call) {
  Access access(*this);
  int number = 0;
  for (const Tensor* t : operands) {
    ++number;
    if (!t || t->numel() == 0) continue;
    ENSURE(contains(t->raw()), "guarded device: operand {} of {}, shape {}, is on {}", number, kernel,
           t->shape().str(), t->device().str());
    access.open(*t);
  }
  call();
}

void GuardedBackend::fill(double value, const Tensor& out) {
  run("fill", {&out}, [&] { cpu_.fill(value, out); });
}
void GuardedBackend::copy(const Tensor& in, const Tensor& out) {
  run("copy", {&in, &out}, [&] { cpu_.copy(in, out); });
}
void GuardedBackend::unary(const Unary& f, const Tensor& x, const Tensor& out) {
  run("unary", {&x, &out}, [&] { cpu_.unary(f, x, out); });
}
void GuardedBackend::unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                               const Tensor& out) {
  run("unary_vjp", {&g, &x, &y, &out}, [&] { cpu_.unary_vjp(f, g, x, y, out); });
}
void GuardedBackend::binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) {
  run("binary", {&a, &b, &out}, [&] { cpu_.binary(f, a, b, out); });
}
void GuardedBackend::sum(const Tensor& x, const Tensor& out) {
  run("sum", {&x, &out}, [&] { cpu_.sum(x, out); });
}
void GuardedBackend::sum_squares(std::span<const Tensor> xs, const Tensor& out) {
  std::vector<const Tensor*> operands{&out};
  for (const Tensor& x : xs) operands.push_back(&x);
  run("sum_squares", operands, [&] { cpu_.sum_squares(xs, out); });
}
void GuardedBackend::instance_norm_stats(const Tensor& x, double eps, const Tensor& mean,
                                         const Tensor& rstd) {
  run("instance_norm_stats", {&x, &mean, &rstd}, [&] { cpu_.instance_norm_stats(x, eps, mean, rstd); });
}
void GuardedBackend::instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                                   const Tensor& b, const Unary* activation, const Tensor& out) {
  run("instance_norm", {&x, &mean, &rstd, &w, &b, &out},
      [&] { cpu_.instance_norm(x, mean, rstd, w, b, activation, out); });
}
void GuardedBackend::instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean,
                                        const Tensor& rstd, const Tensor& sum_g, const Tensor& sum_gx) {
  run("instance_norm_sums", {&g, &x, &mean, &rstd, &sum_g, &sum_gx},
      [&] { cpu_.instance_norm_sums(g, x, mean, rstd, sum_g, sum_gx); });
}
void GuardedBackend::instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean,
                                          const Tensor& rstd, const Tensor& w, const Tensor& sum_g,
                                          const Tensor& sum_gx, const Tensor& out) {
  run("instance_norm_grad_x", {&g, &x, &mean, &rstd, &w, &sum_g, &sum_gx, &out},
      [&] { cpu_.instance_norm_grad_x(g, x, mean, rstd, w, sum_g, sum_gx, out); });
}
void GuardedBackend::fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) {
  run("fourier_features", {&t, &z, &out}, [&] { cpu_.fourier_features(t, z, out); });
}
void GuardedBackend::fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) {
  run("fourier_features_vjp", {&g, &y, &out}, [&] { cpu_.fourier_features_vjp(g, y, out); });
}
void GuardedBackend::gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary* activation,
                               const Tensor& out) {
  run("gated_sum", {&y, &b, &c, &out}, [&] { cpu_.gated_sum(y, b, c, activation, out); });
}
void GuardedBackend::gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) {
  run("gemm", {&a, &b, epilogue.bias, &out}, [&] { cpu_.gemm(a, b, epilogue, out); });
}
void GuardedBackend::conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter,
                            const Epilogue& epilogue, const Tensor& out) {
  run("conv2d", {&x, &filter, epilogue.bias, &out}, [&] { cpu_.conv2d(s, x, filter, epilogue, out); });
}
void GuardedBackend::conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter,
                                   const Epilogue& epilogue, const Tensor& out) {
  run("conv2d_grad_x", {&g, &filter, epilogue.bias, &out},
      [&] { cpu_.conv2d_grad_x(s, g, filter, epilogue, out); });
}
void GuardedBackend::conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x,
                                   const Tensor& out) {
  run("conv2d_grad_w", {&g, &x, &out}, [&] { cpu_.conv2d_grad_w(s, g, x, out); });
}
void GuardedBackend::normal(const RandomSlice& slice, const Tensor& out) {
  run("normal", {slice.state, &out}, [&] { cpu_.normal(slice, out); });
}
void GuardedBackend::uniform(const RandomSlice& slice, const Tensor& out) {
  run("uniform", {slice.state, &out}, [&] { cpu_.uniform(slice, out); });
}
void GuardedBackend::advance(const Tensor& state, std::uint64_t blocks) {
  run("advance", {&state}, [&] { cpu_.advance(state, blocks); });
}
void GuardedBackend::noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                                  const RandomSlice* noise) {
  run("noisy_update", {&z, &g, noise ? noise->state : nullptr},
      [&] { cpu_.noisy_update(z, g, scales, noise); });
}
void GuardedBackend::adam(std::span<const AdamTensors> tensors, const AdamStep& step) {
  std::vector<const Tensor*> operands{step.schedule, step.grad_norm, step.watch};
  for (const AdamTensors& t : tensors) operands.insert(operands.end(), {&t.param, &t.grad, &t.m, &t.v});
  run("adam", operands, [&] { cpu_.adam(tensors, step); });
}
void GuardedBackend::adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor* watch) {
  run("adam_tick", {&schedule, watch}, [&] { cpu_.adam_tick(schedule, beta1, beta2, watch); });
}
void GuardedBackend::watch(const Tensor& value, std::int64_t code, const Tensor& state) {
  run("watch", {&value, &state}, [&] { cpu_.watch(value, code, state); });
}
void GuardedBackend::lerp(std::span<const LerpTensors> tensors, double rate, const Tensor* watch) {
  std::vector<const Tensor*> operands{watch};
  for (const LerpTensors& t : tensors) operands.insert(operands.end(), {&t.target, &t.source});
  run("lerp", operands, [&] { cpu_.lerp(tensors, rate, watch); });
}

}  // namespace damc
