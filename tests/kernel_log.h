/// Which kernels run, for tests that count them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tensor/watch/trace.h"

namespace damc {

/// Notes every kernel that runs on the CPU while it lives.
class KernelLog {
 public:
  struct Call {
    std::string kernel;
    Shape out;
  };

  KernelLog()
      : override_(Device{},
                  std::make_unique<ObservedBackend>(
                      backend(Device{}), [this](const char* kernel, const Tensor& out, const auto& call) {
                        calls.push_back({kernel, out.shape()});
                        call();
                      })) {}

  std::int64_t count(const std::string& kernel) const {
    return std::count_if(calls.begin(), calls.end(), [&](const Call& call) { return call.kernel == kernel; });
  }

  std::vector<Call> calls;

 private:
  BackendOverride override_;
};

}  // namespace damc
