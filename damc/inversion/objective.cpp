#include "damc/inversion/objective.h"

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// Mean of the squares of each row's elements, [N].
Variable mean_square(const Variable& rows) { return mean(square(reshape(rows, {rows.size(0), -1})), 1); }

}  // namespace

InversionObjective::InversionObjective(const StyleGan& G, const Vgg* vgg, const InDomainEncoder* encoder,
                                       const ObjectiveWeights& weights, const EnergyNet* energy)
    : G_(G), vgg_(vgg), encoder_(encoder), energy_(energy), weights_(weights) {
  ENSURE((vgg || weights.feature == 0.0) && (encoder || weights.domain == 0.0) &&
             (energy || weights.energy == 0.0),
         "inversion objective: a factor of a term whose network is not there");
}

InversionObjective::Observed InversionObjective::observe(const Tensor& x) const {
  return {x, weights_.feature != 0.0 ? vgg_->features(x).value() : Tensor()};
}

ObjectiveTerms InversionObjective::terms(const Variable& w_plus, const Observed& observed) const {
  const Variable image = G_.forward(w_plus);
  ObjectiveTerms terms{mean_square(image - observed.x), {}, {}, {}};
  if (weights_.feature != 0.0) terms.feature = mean_square(vgg_->features(image) - observed.features);
  if (weights_.domain != 0.0) terms.domain = mean_square(w_plus - encoder_->forward(image));
  if (weights_.energy != 0.0) {
    terms.energy = reshape(energy_->forward(w_plus), {-1}) + 0.5 * sum(square(w_plus), 1);
  }
  return terms;
}

Variable InversionObjective::total(const ObjectiveTerms& terms) const {
  Variable total = terms.pixel * weights_.pixel;
  if (terms.feature.defined()) total = total + terms.feature * weights_.feature;
  if (terms.domain.defined()) total = total + terms.domain * weights_.domain;
  if (terms.energy.defined()) total = total + terms.energy * weights_.energy;
  return total;
}

}  // namespace damc
