/// A model of the time: what a GPU cannot be faster than. The work is counted by running the program's own code
/// on the counting device (tensor/watch/counting_backend.h); the rates are those of the GPU's data sheet.
///
/// Three floors stand side by side: arithmetic at the peak of a precision, every operand once through the
/// memory, and the starts of the kernels. They are as good as what they count: multiply-adds of the direct form
/// of a convolution, operands as the backend is given them (in bf16 activations of two bytes, but weights of four,
/// which a GPU's backend rounds first), one launch per call of a backend's kernel. Operands that stay in the
/// second-level cache from one kernel to the next may move faster than the memory's floor says.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "damc/config.h"
#include "tensor/communicator.h"
#include "tensor/watch/counting_backend.h"

namespace damc {

/// A GPU by its data sheet: dense rates (not those for sparse matrices), boost clock.
struct Gpu {
  const char* name;  ///< as --gpu takes it
  const char* title;
  double fp32, tf32, bf16;  ///< TFLOP/s; fp32 without, tf32 and bf16 with tensor cores
  double bandwidth;         ///< of the memory, GB/s

  /// TFLOP/s of "fp32", "tf32" or "bf16".
  double rate(const std::string& precision) const;
};

/// The GPU of a name. Throws UserError that lists the names.
const Gpu& find_gpu(const std::string& name);

/// Seconds that start one kernel after the other. Not from data sheets: what is commonly measured on such
/// machines when kernels are launched one by one, and for a node of a CUDA graph.
inline constexpr double kLaunchSeconds = 4e-6, kNodeSeconds = 1e-6;

/// Seconds that some work takes at least.
struct Floors {
  double compute, memory;
  double eager, graph;  ///< starts of the kernels: launched one by one; as nodes of a graph

  /// The name of the largest: "compute", "memory" or "launches". `starts` is eager or graph.
  const char* largest(double starts) const;
};

Floors floors(const KernelWork& work, const Gpu& gpu, const std::string& precision);

/// What one part of an iteration or one way of sampling asks of a device.
struct CountedPart {
  std::string part;
  KernelWork work;
};

/// The parts of a training iteration on `batch` images in config.precision in the order they run, then their total.
std::vector<CountedPart> count_iteration(const Config& config, std::int64_t batch);
/// The same of the share that one of several processes has of a batch of config.batch.
std::vector<CountedPart> count_shared_iteration(const Config& config, const Communicator& among);
/// damc_latents: drawing `batch` latent vectors from the sampler under given embeddings; damc_prior, lebm_prior,
/// damc_posterior, lebm_posterior: drawing latent vectors and decoding them.
std::vector<CountedPart> count_sampling(const Config& config, std::int64_t batch);

/// Of GAN inversion (damc/inversion/training.h) with networks of the release's sizes, or of invert-mini's: an iteration of
/// the warm-up, and one of Algorithm 1.
std::vector<CountedPart> count_inversion_iteration(const Config& config, std::int64_t batch);
/// damc_start: the encoder and a sample of the sampler; adam_step: one on the W+ of `batch` images; damc_inversion: the
/// start and config.test_posterior_steps of them. A descent's first objective counts twice: nothing but zeros comes back
/// from the counting device, which as numbers of finite objectives say that there is none.
std::vector<CountedPart> count_inversion(const Config& config, std::int64_t batch);

/// Floors beside what was measured: a table for the reader and JSON in the layout of BenchReport.
class FloorsReport {
 public:
  FloorsReport(const Gpu& gpu, std::string precision) : gpu_(gpu), precision_(std::move(precision)) {}

  struct Row {
    std::string suite, name;
    CountedPart counted;
    std::int64_t batch;
    std::optional<double> seconds;  ///< measured
  };
  void add(Row row) { rows_.push_back(std::move(row)); }

  void print_table(std::FILE* to = stdout) const;
  nlohmann::json to_json() const;

 private:
  Gpu gpu_;
  std::string precision_;
  std::vector<Row> rows_;
};

}  // namespace damc
