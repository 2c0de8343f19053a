#include "tensor/watch/trace.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tensor/error.h"

namespace damc {
namespace {

void print_call(Backend& inner, const char* name, const Tensor& out, const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  inner.synchronize();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "{:<22} {:<22} {:>10.1f} us\n", name, out.shape().str(), took.count());
}

class TraceBackend final : public ObservedBackend {
 public:
  explicit TraceBackend(std::unique_ptr<Backend> inner)
      : ObservedBackend(*inner,
                        [&backend = *inner](const char* name, const Tensor& out, const auto& call) {
                          print_call(backend, name, out, call);
                        }),
        owned_(std::move(inner)) {}

 private:
  std::unique_ptr<Backend> owned_;
};

}  // namespace

bool trace_requested() {
  const char* value = std::getenv("DAMC_TRACE");
  return value && std::strcmp(value, "0") != 0 && *value != '\0';
}

std::unique_ptr<Backend> make_trace_backend(std::unique_ptr<Backend> inner) {
  return std::make_unique<TraceBackend>(std::move(inner));
}

}  // namespace damc
