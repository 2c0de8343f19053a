/// The suites of `damc bench`. Each measures one preset and adds its rows to the report; batch 0 stands for
/// the suite's own number of images.
#pragma once

#include "damc/config.h"
#include "tools/bench/bench_report.h"

namespace damc {

/// Kernels that do not depend on a preset: square products, elementwise functions, noise, optimiser and chain
/// updates.
void bench_common_kernels(BenchReport& report);
/// The preset's linear layers and convolutions, forward and both gradients, and its widest instance norm; 32
/// images.
void bench_network_kernels(BenchReport& report, const Config& config, std::int64_t batch);
/// One training iteration, part by part, on random images; 32 images.
void bench_iteration(BenchReport& report, const Config& config, std::int64_t batch);
/// Drawing latent vectors from priors and posteriors, and decoding them; 64 images.
void bench_sampling(BenchReport& report, const Config& config, std::int64_t batch);

}  // namespace damc
