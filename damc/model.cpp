#include "damc/model.h"

#include <algorithm>

#include "damc/chains/langevin.h"
#include "tensor/error.h"

namespace damc {
namespace {

std::unique_ptr<EncoderNet> make_encoder(const Architecture& images, const Config& c, Init& init) {
  return std::make_unique<EncoderNet>(images, c.nif, c.nemb, init, c.precision);
}

}  // namespace

AmortizerOptions amortizer_options(const Config& c) {
  return {.nz = c.nz,
          .nemb = c.nemb,
          .width = c.width,
          .unconditional = c.uncond,
          .sampling = {.solver = c.solver,
                       .steps = static_cast<int>(sampling_steps(c)),
                       .schedule = LogSnrSchedule(c.logsnr_min, c.logsnr_max),
                       .gamma = c.gamma,
                       .eta = c.eta,
                       .guidance = c.guidance}};
}

Model::Model(const Config& c, Dtype dtype)
    : config(c),
      images(architecture(c.architecture)),
      device(parse_device(c.device)),
      init_random_(make_generator(c, Stream::init, device)),
      init_(init_random_, dtype, products_of(c.precision)),
      G(images, c.nz, c.ngf, init_, c.precision),
      likelihood(G, c.sigma) {
  const MethodParts& parts = method_parts(c.method);
  if (parts.energy_prior) {
    E.emplace(c.nz, c.ndf, init_);
    prior = std::make_unique<EnergyPrior>(*E);
  } else {
    prior = std::make_unique<GaussianPrior>();
  }
  if (parts.sampler) {
    Q.emplace(make_encoder(images, c, init_), amortizer_options(c), init_);
    Q_target.emplace(make_encoder(images, c, init_), amortizer_options(c), init_);
    Q_target->copy_from(*Q);
  }
}

std::int64_t Model::parameter_count() const {
  return G.parameter_count() + (E ? E->parameter_count() : 0) + (Q ? Q->parameter_count() : 0);
}

StateDict Model::state_dict() const {
  StateDict state = G.state_dict("G.");
  if (E) state.merge(E->state_dict("E."));
  if (Q) state.merge(Q->state_dict("Q."));
  if (Q_target) state.merge(Q_target->state_dict("Q_dummy."));
  return state;
}

void Model::load_state_dict(const StateDict& state) {
  G.load_state_dict(state, "G.");
  if (E) E->load_state_dict(state, "E.");
  if (!Q) return;
  Q->load_state_dict(state, "Q.");
  const auto target = state.lower_bound("Q_dummy.");
  if (target != state.end() && target->first.starts_with("Q_dummy.")) {
    Q_target->load_state_dict(state, "Q_dummy.");
  } else {
    Q_target->copy_from(*Q);
  }
}

Tensor Model::start(const Tensor& x, Generator& random) const {
  return Q ? Q->sample(x, random) : random.normal({x.size(0), config.nz}, x.dtype());
}

Tensor Model::refine(const Tensor& z0, const Tensor& x) const {
  return langevin(Posterior(likelihood, *prior, x), z0,
                  {config.test_posterior_steps, config.posterior_step_size}, nullptr);
}

std::vector<std::string> Model::sources() const {
  std::vector<std::string> names;
  if (Q) names.emplace_back("damc");
  names.emplace_back(E ? "lebm" : "gaussian");
  return names;
}

bool Model::has_source(const std::string& source) const {
  return source == "gaussian" || std::ranges::count(sources(), source) > 0;
}

Tensor Model::draw(const std::string& source, std::int64_t n, Generator& random) const {
  ENSURE(has_source(source), "method {} has no latent vectors of '{}'", config.method, source);
  if (source == "damc") return Q->sample_prior(n, random);
  const Tensor z = random.normal({n, config.nz});
  if (source == "gaussian") return z;
  return langevin(*prior, z, {config.sample_prior_steps, config.sample_prior_step_size}, &random);
}

}  // namespace damc
