/// Samples of an energy-based prior by importance resampling, with N(0, I) as proposals.
#pragma once

#include "damc/chains/prior.h"
#include "tensor/random.h"

namespace damc {

/// n samples [n, nz], each one of `proposals` draws from N(0, I) of its own, chosen in proportion to exp(-E). Right for
/// many proposals where exp(-E) varies little; elsewhere a few proposals get all of the weight.
Tensor resample(const Prior& prior, std::int64_t n, std::int64_t nz, std::int64_t proposals,
                Generator& random, Dtype dtype = Dtype::f32);

}  // namespace damc
