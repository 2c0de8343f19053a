/// The suites of `damc bench`. Each measures one preset and adds its rows to the report; batch 0 stands for
/// the suite's own number of images.
#pragma once

#include <functional>

#include "damc/config.h"
#include "tensor/communicator.h"
#include "tools/bench/bench_report.h"
#include "tools/bench/work.h"

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

/// What those two time, once, on config.device: the first iteration of a fresh model on `batch` random images, the share
/// of one of several processes (calls ready() when it can start and done(part) after each part), and the ways of sampling, each of which
/// `visit` may run.
void run_iteration(const Config& config, std::int64_t batch, const std::function<void()>& ready,
                   const std::function<void(const char* part)>& done, const Communicator& among = alone());
void visit_sampling(
    const Config& config, std::int64_t batch,
    const std::function<void(const PartWork& work, const std::function<void()>& sample)>& visit);

/// Prints the relative errors of the preset's networks and chains in fp32, tf32 and bf16 against f64; 4 images.
void print_precision(const Config& config, std::int64_t batch);

}  // namespace damc
