/// Stands in for the CUDA backend in a build without it: an honest error.

#include "tensor/cuda/cuda_backend.h"
#include "tensor/error.h"

namespace damc {

namespace {

[[noreturn]] void refuse(int index) {
  user_error(fmt::format("no device cuda:{}: this build has no CUDA backend", index), "use --device cpu");
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index) { refuse(index); }

std::string cuda_identity(int index) { refuse(index); }

int cuda_device_count() { return 0; }

std::string cuda_summary() { return "not built in"; }

}  // namespace damc
