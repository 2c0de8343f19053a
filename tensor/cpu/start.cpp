#include <cblas.h>
#include <omp.h>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/threads.h"
#include "tensor/cpu/variants.h"

#include <fmt/format.h>

namespace damc {

std::unique_ptr<Backend> make_cpu_backend() {
  const CpuVariant& variant = chosen_cpu_variant();
  start_threads();
  return variant.make();
}

std::string cpu_summary() {
  return fmt::format("{} threads; kernels for {}; {}, kernels for {}", omp_get_max_threads(),
                     chosen_cpu_variant().name, openblas_get_config(), openblas_get_corename());
}

}  // namespace damc
