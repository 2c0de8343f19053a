#include "damc/chains/resampling.h"

#include "tensor/ops.h"

namespace damc {

Tensor resample(const Prior& prior, std::int64_t n, std::int64_t nz, std::int64_t proposals,
                Generator& random, Dtype dtype) {
  std::vector<Tensor> chosen;
  for (std::int64_t i = 0; i < n; ++i) {
    const Tensor z = random.normal({proposals, nz}, dtype);
    // The largest of -E + g, g = -log(-log u), is each with probability in proportion to exp(-E) (Gumbel, 1954). u may
    // be 1, so that 1 - u is 0: both ends are kept away from.
    const Tensor u = clamp(random.uniform({proposals, 1}, dtype), 1e-12, 1.0 - 1e-7);
    const Tensor g = mul(log(mul(log(u), -1.0)), -1.0);
    const Tensor key = sub(g, prior.energies(z).value()).reshape({1, proposals, 1, 1});
    const Tensor most = max_pool2d(key, {Pair{proposals, 1}, {}});
    const Tensor is_most = affine(greater(sub(most, key), 0.0), -1.0, 1.0).reshape({1, proposals});
    chosen.push_back(mul(matmul(is_most, z), reciprocal(sum(is_most))));  // should two be equal: their mean
  }
  return cat(chosen, 0);
}

}  // namespace damc
