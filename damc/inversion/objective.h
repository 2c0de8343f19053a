/// What GAN inversion minimises over a W+ (Section 5.4 and Table 2 of the paper; the in-domain form: Zhu et al., 2020).
#pragma once

#include "damc/nets/in_domain_encoder.h"
#include "damc/nets/networks.h"
#include "damc/nets/stylegan.h"
#include "damc/nets/vgg.h"

namespace damc {

/// Factors of the terms; each term but the energy is a mean over its elements.
struct ObjectiveWeights {
  double pixel = 1.5;     ///< of |G(w) - x|^2 over the pixels' values
  double feature = 5e-5;  ///< of |VGG(G(w)) - VGG(x)|^2 over the features
  double domain = 0.0;    ///< of |w - Enc(G(w))|^2 over the latents
  double energy = 0.0;    ///< of E(w) + |w|^2/2, of the LEBM baseline
};
inline constexpr ObjectiveWeights kInDomainWeights{1.0, 5e-5, 2.0};
/// The energy's factor for images of size x size: that at which 1.5 of the pixels' mean is the negative log-likelihood of
/// this sigma in the same measure, 3 sigma^2 / (3 size^2). Differs: neither the paper nor the authors' code states one.
inline double energy_factor(std::int64_t size, double sigma = 1.0) {
  return sigma * sigma / static_cast<double>(size * size);
}

/// The terms of every image, [N], before their factors; what has no part is undefined.
struct ObjectiveTerms {
  Variable pixel, feature, domain, energy;
};

class InversionObjective {
 public:
  /// Keeps references to the networks; without a factor a network may be null.
  InversionObjective(const StyleGan& G, const Vgg* vgg, const InDomainEncoder* encoder,
                     const ObjectiveWeights& weights, const EnergyNet* energy = nullptr);

  const StyleGan& generator() const { return G_; }
  /// An observation as the objective takes it: images x [N, H, W, 3] and their features, computed once.
  struct Observed {
    Tensor x, features;
  };
  Observed observe(const Tensor& x) const;

  ObjectiveTerms terms(const Variable& w_plus, const Observed& observed) const;
  /// The terms together, [N].
  Variable total(const ObjectiveTerms& terms) const;

 private:
  const StyleGan& G_;
  const Vgg* vgg_;
  const InDomainEncoder* encoder_;
  const EnergyNet* energy_;
  ObjectiveWeights weights_;
};

}  // namespace damc
