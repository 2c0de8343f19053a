#include "damc/model.h"

namespace damc {
namespace {

std::unique_ptr<EncoderNet> make_encoder(const Architecture& images, const Config& c, Init& init) {
  return std::make_unique<EncoderNet>(images, c.nif, c.nemb, init, parse_precision(c.precision));
}

}  // namespace

AmortizerOptions amortizer_options(const Config& c) {
  return {.nz = c.nz,
          .nemb = c.nemb,
          .width = c.width,
          .unconditional = c.uncond == "null" ? Unconditional::null : Unconditional::noise,
          .sampling = {.steps = static_cast<int>(c.diffusion_steps),
                       .schedule = LogSnrSchedule(c.logsnr_min, c.logsnr_max),
                       .gamma = c.gamma,
                       .guidance = c.guidance}};
}

Model::Model(const Config& c, Dtype dtype)
    : config(c),
      images(architecture(c.architecture)),
      device(parse_device(c.device)),
      init_random_(make_generator(c, Stream::init, device)),
      init_(init_random_, dtype),
      G(images, c.nz, c.ngf, init_, parse_precision(c.precision)),
      E(c.nz, c.ndf, init_),
      Q(make_encoder(images, c, init_), amortizer_options(c), init_),
      Q_dummy(make_encoder(images, c, init_), amortizer_options(c), init_) {
  if (dtype == Dtype::f32) products_.emplace(device, products_of(parse_precision(c.precision)));
  Q_dummy.copy_from(Q);
}

StateDict Model::state_dict() const {
  StateDict state = G.state_dict("G.");
  state.merge(E.state_dict("E."));
  state.merge(Q.state_dict("Q."));
  state.merge(Q_dummy.state_dict("Q_dummy."));
  return state;
}

void Model::load_state_dict(const StateDict& state) {
  G.load_state_dict(state, "G.");
  E.load_state_dict(state, "E.");
  Q.load_state_dict(state, "Q.");
  const auto target = state.lower_bound("Q_dummy.");
  if (target != state.end() && target->first.starts_with("Q_dummy.")) {
    Q_dummy.load_state_dict(state, "Q_dummy.");
  } else {
    Q_dummy.copy_from(Q);
  }
}

Tensor Model::refine(const Tensor& z0, const Tensor& x) const {
  return posterior_langevin(G, E, z0, x, config.sigma,
                            {static_cast<int>(config.test_posterior_steps), config.posterior_step_size},
                            nullptr);
}

Tensor Model::sample_lebm(std::int64_t n, Generator& random) const {
  return prior_langevin(E, random.normal({n, config.nz}),
                        {static_cast<int>(config.sample_prior_steps), config.sample_prior_step_size},
                        &random);
}

}  // namespace damc
