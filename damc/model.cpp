#include "damc/model.h"

#include <algorithm>

#include "damc/chains/langevin.h"
#include "damc/chains/resampling.h"
#include "damc/nets/layered_generator.h"
#include "damc/nets/skip_mlp.h"
#include "tensor/error.h"

namespace damc {
namespace {

constexpr const char* kTarget = "Q_dummy.";  // prefix of the target sampler
constexpr std::int64_t kProposals = 5000;    // of importance resampling, for each sample

/// Throws UserError for a preset whose networks are no model.
const Architecture& images_of(const Config& c) {
  if (find_preset(c.preset).trains != Trains::model)
    user_error(fmt::format("preset {} has no generator that makes images of its own", c.preset));
  return architecture(c.architecture);
}

std::unique_ptr<Layer> make_generator_net(const Architecture& images, const Config& c, Init& init) {
  if (c.layers == 5) return std::make_unique<LayeredGenerator>(images, c.ngf, init);
  return std::make_unique<GeneratorNet>(images, c.nz, c.ngf, init, c.precision);
}

std::unique_ptr<EncoderNet> make_encoder(const Architecture& images, const Config& c, Init& init) {
  return std::make_unique<EncoderNet>(images, c.nif, c.nemb, init, c.precision);
}

/// What there is of a model's networks, by the prefixes of their parameters.
template <class M>
auto networks_of(M& m) {
  using Network = std::conditional_t<std::is_const_v<M>, const Module, Module>;
  std::vector<std::pair<std::string, Network*>> all{{"G.", &m.G}};
  if (m.E) all.emplace_back("E.", &*m.E);
  for (std::size_t i = 0; i < m.ratios.size(); ++i)
    all.emplace_back(fmt::format("E{}.", i), m.ratios[i].get());
  if (m.Q) all.emplace_back("Q.", &*m.Q);
  if (m.Q_target) all.emplace_back(kTarget, &*m.Q_target);
  if (m.V) all.emplace_back("V.", m.V.get());
  if (m.image_energy) all.emplace_back("EX.", m.image_energy.get());
  if (m.critic) all.emplace_back("D.", m.critic.get());
  if (m.noise) all.emplace_back("noise.", &*m.noise);
  if (m.mixture) all.emplace_back("mixture.", m.mixture);
  if (m.second) {
    all.emplace_back("V2.", m.second->encoder.get());
    all.emplace_back("G2.", m.second->decoder.get());
    all.emplace_back("noise2.", &m.second->noise);
  }
  return all;
}

}  // namespace

DenoiserWidths denoiser_widths(const Config& c) {
  return c.denoiser_width > 0 ? DenoiserWidths{c.denoiser_width, c.denoiser_width}
                              : DenoiserWidths::scaled(c.width);
}

AmortizerOptions amortizer_options(const Config& c) {
  return {.nz = c.nz,
          .nemb = c.nemb,
          .widths = denoiser_widths(c),
          .unconditional = c.uncond,
          .sampling = {.solver = c.solver,
                       .steps = static_cast<int>(sampling_steps(c)),
                       .schedule = LogSnrSchedule(c.logsnr_min, c.logsnr_max),
                       .gamma = c.gamma,
                       .eta = c.eta,
                       .guidance = c.guidance}};
}

SecondStage::SecondStage(std::int64_t nz, std::int64_t hidden, Init& init)
    : encoder(std::make_unique<SkipMlp>(nz, hidden, 2 * nz, init)),
      decoder(std::make_unique<SkipMlp>(nz, hidden, nz, init)),
      likelihood(*decoder, 1.0),
      noise(init) {}

Tensor SecondStage::decode(const Tensor& u, Generator& random) const {
  const Tensor scale = exp(noise.log().value());
  return add(likelihood.decode(u).value(), mul(random.normal(u.shape()), scale));
}

Model::Model(const Config& c, Dtype dtype)
    : config(c),
      images(images_of(c)),
      device(parse_device(c.device)),
      init_random_(make_generator(c, Stream::init, device)),
      init_(init_random_, dtype, products_of(c.precision, device)),
      generator_(make_generator_net(images, c, init_)),
      G(*generator_),
      likelihood(G, c.sigma) {
  const MethodParts& parts = method_parts(c.method);
  make_prior(parts.prior);
  make_critic(parts.critic);
  if (parts.sampler) {
    Q.emplace(make_encoder(images, c, init_), amortizer_options(c), init_);
    Q_target.emplace(make_encoder(images, c, init_), amortizer_options(c), init_);
    Q_target->copy_from(*Q);
  }
  if (parts.encoder == EncoderKind::none) return;
  auto layers = std::make_unique<Sequential>();
  layers->push_back(make_encoder(images, c, init_));
  layers->push_back(leaky_relu_layer(0.01));
  layers->emplace<Linear>(c.nemb, parts.encoder == EncoderKind::gaussian ? 2 * c.nz : c.nz, init_);
  V = std::move(layers);
}

void Model::make_prior(PriorKind kind) {
  const Config& c = config;
  std::vector<const EnergyNet*> energies;
  switch (kind) {
    case PriorKind::energy:
      energies.push_back(&E.emplace(c.nz, c.ndf, init_));
      break;
    case PriorKind::ratios:
      for (std::int64_t stage = 0; stage < c.stages; ++stage) {
        energies.push_back(ratios.emplace_back(std::make_unique<EnergyNet>(c.nz, c.ndf, init_)).get());
        ratios.back()->begin_at_zero();  // so that a stage that has not begun changes nothing
      }
      break;
    case PriorKind::mixture:
      prior = std::make_unique<MixturePrior>(c.components, c.nz, init_);
      mixture = static_cast<MixturePrior*>(prior.get());
      return;
    case PriorKind::second_stage:
      noise.emplace(init_);
      second.emplace(c.nz, c.mlp_width, init_);
      break;
    case PriorKind::normal:
      break;
  }
  if (energies.empty()) {
    prior = std::make_unique<GaussianPrior>();
  } else {
    prior = std::make_unique<EnergyPrior>(std::move(energies));
  }
}

/// Same widths of hidden layers as in the releases, on the trunk that all methods have.
void Model::make_critic(CriticKind kind) {
  const Config& c = config;
  if (kind == CriticKind::energy) {
    image_energy = std::make_unique<ImageEnergy>(images, c.nif, c.nemb, init_);
    const PairCriticOptions options{.features = 128, .z_features = 0, .hidden = 512, .slope = 0.2};
    critic = std::make_unique<ImagePairCritic>(images, c.nif, c.nz, options, init_);
  } else if (kind == CriticKind::pairs) {
    const PairCriticOptions options{.features = 128, .z_features = 512, .hidden = 1024, .slope = 0.1};
    critic = std::make_unique<ImagePairCritic>(images, c.nif, c.nz, options, init_);
  }
}

std::vector<std::pair<std::string, const Module*>> Model::networks() const { return networks_of(*this); }

std::int64_t Model::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [prefix, network] : networks())
    count += prefix == kTarget ? 0 : network->parameter_count();
  return count;
}

StateDict Model::state_dict() const {
  StateDict state;
  for (const auto& [prefix, network] : networks()) state.merge(network->state_dict(prefix));
  return state;
}

void Model::find_state(Loading& loading) {
  for (const auto& [prefix, network] : networks_of(*this)) {
    const auto first = loading.state().lower_bound(prefix);
    const bool is_there = first != loading.state().end() && first->first.starts_with(prefix);
    if (prefix == kTarget && !is_there) {
      loading.later([this] { Q_target->copy_from(*Q); });
    } else {
      network->find_state(loading, prefix);
    }
  }
}

Tensor Model::start(const Tensor& x, Generator& random) const {
  ENSURE(infers(), "method {} finds no z of an image", config.method);
  if (config.test_start == "noise") return random.normal({x.size(0), config.nz}, x.dtype());
  if (Q) return Q->sample(x, random);
  return V ? encoded_mean(*V, x, config.nz) : random.normal({x.size(0), config.nz}, x.dtype());
}

Tensor Model::refine(const Tensor& z0, const Tensor& x) const {
  return langevin(Posterior(likelihood, *prior, x), z0,
                  {config.test_posterior_steps, config.posterior_step_size}, nullptr);
}

const std::vector<std::string>& source_names() {
  static const std::vector<std::string> names{"damc",    "lebm",         "resampling",
                                              "mixture", "second-stage", "gaussian"};
  return names;
}

std::vector<std::string> Model::sources() const {
  std::vector<std::string> names;
  if (Q) names.emplace_back("damc");
  if (E || !ratios.empty()) names.emplace_back("lebm");
  if (V && !ratios.empty()) names.emplace_back("resampling");
  if (mixture) names.emplace_back("mixture");
  if (second) names.emplace_back("second-stage");
  if (names.empty() || (Q && names.size() == 1)) names.emplace_back("gaussian");
  return names;
}

bool Model::has_source(const std::string& source) const {
  return source == "gaussian" || std::ranges::count(sources(), source) > 0;
}

Tensor Model::draw(const std::string& source, std::int64_t n, Generator& random) const {
  ENSURE(has_source(source), "method {} has no latent vectors of '{}'", config.method, source);
  if (source == "damc") return Q->sample_prior(n, random);
  if (source == "mixture") return mixture->sample(n, random);
  if (source == "resampling") return resample(*prior, n, config.nz, kProposals, random);
  const Tensor z = random.normal({n, config.nz});
  if (source == "gaussian") return z;
  if (source == "second-stage") return second->decode(z, random);
  return langevin(*prior, z, {config.sample_prior_steps, config.sample_prior_step_size}, &random);
}

}  // namespace damc
