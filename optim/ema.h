/// Exponential moving average of a network's parameters.
#pragma once

#include "nn/module.h"
#include "optim/watch.h"

namespace damc {

/// target <- (1 - rate) target + rate source, for two modules of the same structure, of one type on one device. Nothing changes once
/// `watch` has seen a number that is not finite.
void ema_update(Module& target, const Module& source, double rate, const FiniteWatch* watch = nullptr);

}  // namespace damc
