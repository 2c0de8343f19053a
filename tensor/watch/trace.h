/// Watching kernels: a backend that tells an observer of every call before it passes it on.
///
/// DAMC_TRACE=1 in the environment prints one line per kernel (name, output shape, microseconds) to stderr.
/// Tests use an observer of their own, to count which kernels a computation runs.
#pragma once

#include <functional>
#include <memory>

#include "tensor/watch/intercepted_backend.h"

namespace damc {

/// Has the memory of another backend. What becomes of a kernel is left open.
class ForwardingBackend : public InterceptedBackend {
 public:
  explicit ForwardingBackend(Backend& inner) : inner_(inner) {}

  void* allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { inner_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    inner_.copy_bytes(to, from, bytes, kind);
  }
  void synchronize() override { inner_.synchronize(); }
  void pin(const Tensor& weight) override { inner_.pin(weight); }
  void unpin(const Tensor& weight) override { inner_.unpin(weight); }
  std::unique_ptr<Staging> make_staging(std::size_t bytes) override { return inner_.make_staging(bytes); }
  std::unique_ptr<Communicator> join(const Communicator& host) override { return inner_.join(host); }
  std::size_t bytes_in_use() const override { return inner_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return inner_.bytes_reserved(); }

  /// Null: a replay would hide its kernels from whoever watches.
  std::unique_ptr<Recording> make_recording() override { return nullptr; }

 protected:
  Backend& inner_;
};

/// Passes every kernel to `inner`; `around(name, out, call)` must run call() once. `out` is what the kernel writes.
class ObservedBackend : public ForwardingBackend {
 public:
  using Around = std::function<void(const char* name, const Tensor& out, const std::function<void()>& call)>;

  ObservedBackend(Backend& inner, Around around) : ForwardingBackend(inner), around_(std::move(around)) {}

 private:
  void intercept(const KernelCall& call) override {
    around_(call.kernel, call.writes[0], [&] { call(inner_); });
  }

  Around around_;
};

/// Whether DAMC_TRACE asks for a trace.
bool trace_requested();

/// Owns `inner` and prints a line per kernel to stderr.
std::unique_ptr<Backend> make_trace_backend(std::unique_ptr<Backend> inner);

}  // namespace damc
