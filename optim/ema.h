/// Exponential moving average of a network's parameters.
#pragma once

#include "nn/module.h"

namespace damc {

/// target <- (1 - rate) target + rate source, for two modules of the same structure.
void ema_update(const Module& target, const Module& source, double rate);

}  // namespace damc
