/// GAN inversion by Adam on W+ (Section 5.4): every image has its own, and none knows of the others.
#pragma once

#include <functional>

#include "damc/inversion/objective.h"

namespace damc {

struct DescentOptions {
  std::int64_t steps = 100;
  double rate = 0.01;  ///< of Adam, betas 0.9 and 0.999, eps 1e-8
};

/// What became of the latents.
struct Descent {
  Tensor w_plus;                    ///< [N, latents]
  std::int64_t replaced, returned;  ///< rows that began anew, and that went back to their last finite W+
};

/// The terms at the beginning of step `step` (from 0), as tensors [N]; with step = steps those at the end.
using DescentObserver = std::function<void(std::int64_t step, const ObjectiveTerms& terms)>;

/// W+ after `steps` steps of Adam on the objective's sum over images x [N, H, W, 3], from w_plus (not modified). A row
/// whose objective is not a number before the first step begins at a random W+ instead, as the authors have it; one that
/// becomes so later ends where it last was one.
Descent descend(const InversionObjective& objective, const Tensor& w_plus, const Tensor& x,
                const DescentOptions& options, Generator& random, const DescentObserver& observer = {});

}  // namespace damc
