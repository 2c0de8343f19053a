#include "damc/precision_errors.h"

#include <cmath>

#include "autograd/grad.h"
#include "damc/chains/langevin.h"
#include "damc/model.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// A part's values and gradients, as f64 on the CPU.
struct Result {
  std::string part;
  Tensor value;
  std::vector<Tensor> gradients;
};

Tensor to_reference(const Tensor& t) { return t.to(Device{}).to(Dtype::f64); }

/// Everything that is compared, of one model; the same random numbers for every model.
std::vector<Result> results_of(const Model& m, Dtype dtype, std::int64_t n) {
  std::vector<Result> results;
  Generator random(1, 0, m.device);
  const auto uniform = [&](const Shape& shape) { return affine(random.uniform(shape, dtype), 2.0, -1.0); };
  const Tensor x = uniform({n, m.images.size, m.images.size, m.images.channels});
  const Tensor z = random.normal({n, m.config.nz}, dtype);
  const auto network = [&](const char* part, const Tensor& input, const Module& module, const auto& forward) {
    const Variable leaf(input, true);
    const Variable y = forward(leaf);
    std::vector<Variable> leaves = module.parameters();
    leaves.push_back(leaf);
    Result result{part, to_reference(y.value()), {}};
    for (const Tensor& g : grad(y, leaves, random.normal(y.shape(), dtype)))
      result.gradients.push_back(to_reference(g));
    results.push_back(std::move(result));
  };
  network("generator", z, m.G, [&](const Variable& v) { return m.G.forward(v); });
  network("encoder", x, *m.Q, [&](const Variable& v) { return m.Q->embed(v); });
  network("energy", z, *m.E, [&](const Variable& v) { return m.E->forward(v); });
  const Tensor logsnr = mul(uniform({n}), 5.0), xemb = random.normal({n, m.config.nemb}, dtype);
  network("denoiser", z, m.Q->denoiser(),
          [&](const Variable& v) { return m.Q->denoiser().forward(v, logsnr, xemb); });

  const Config& c = m.config;
  const auto chain = [&](const char* part, const Tensor& end) {
    results.push_back({part, to_reference(end), {}});
  };
  chain("sampler", m.Q->sample(x, random));
  chain("posterior chain", langevin(Posterior(m.likelihood, *m.prior, x), z,
                                    {c.posterior_steps, c.posterior_step_size}, &random));
  chain("prior chain", langevin(*m.prior, z, {c.prior_steps, c.prior_step_size}, &random));
  return results;
}

/// |a - b| / |b| over all tensors together.
double relative_error(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double difference = 0.0, size = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += sum_squares(sub(a[i], b[i])).item();
    size += sum_squares(b[i]).item();
  }
  return size == 0.0 ? 0.0 : std::sqrt(difference / size);
}

}  // namespace

std::vector<PrecisionError> precision_errors(const Config& config, std::int64_t n) {
  const Model model(config);
  Config exact = config;
  exact.device = "cpu";
  exact.precision = Precision::fp32;
  Model reference(exact, Dtype::f64);
  reference.load_state_dict(model.state_dict());
  const std::vector<Result> got = results_of(model, Dtype::f32, n);
  const std::vector<Result> wanted = results_of(reference, Dtype::f64, n);
  std::vector<PrecisionError> errors;
  for (std::size_t i = 0; i < got.size(); ++i) {
    errors.push_back({got[i].part, relative_error({got[i].value}, {wanted[i].value}),
                      relative_error(got[i].gradients, wanted[i].gradients)});
  }
  return errors;
}

}  // namespace damc
