#include "damc/chains/starts.h"

namespace damc {

Tensor FromSampler::posterior(const Tensor& x, Generator& random) const { return sampler_.sample(x, random); }

Tensor FromSampler::prior(const Tensor& z0, Generator& random) const {
  if (!noise_starts_) return z0;
  const Tensor noise = random.normal(z0.shape(), z0.dtype());
  return cat(std::vector<Tensor>{z0, noise}, 1).reshape({2 * z0.size(0), z0.size(1)});
}

Tensor FromNoise::posterior(const Tensor& x, Generator& random) const {
  return random.normal({x.size(0), nz_}, x.dtype());
}

Tensor FromNoise::prior(const Tensor& z0, Generator& random) const {
  return random.normal(z0.shape(), z0.dtype());
}

}  // namespace damc
