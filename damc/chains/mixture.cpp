#include "damc/chains/mixture.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

using Values = std::vector<double>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// L of a = L L', lower, of a symmetric positive definite a [d, d] row by row.
Values cholesky(const Values& a, std::int64_t d) {
  Values l(a.size(), 0.0);
  for (std::int64_t i = 0; i < d; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      double rest = a[index(i * d + j)];
      for (std::int64_t k = 0; k < j; ++k) rest -= l[index(i * d + k)] * l[index(j * d + k)];
      if (i == j) ENSURE(rest > 0.0, "mixture: a covariance is not positive definite");
      l[index(i * d + j)] = i == j ? std::sqrt(rest) : rest / l[index(j * d + j)];
    }
  }
  return l;
}

/// Of a lower triangular matrix.
Values inverse(const Values& l, std::int64_t d) {
  Values inverted(l.size(), 0.0);
  for (std::int64_t column = 0; column < d; ++column) {
    for (std::int64_t i = column; i < d; ++i) {
      double rest = i == column ? 1.0 : 0.0;
      for (std::int64_t k = column; k < i; ++k) rest -= l[index(i * d + k)] * inverted[index(k * d + column)];
      inverted[index(i * d + column)] = rest / l[index(i * d + i)];
    }
  }
  return inverted;
}

/// A component as densities and samples need it.
struct Factored {
  Values factor, inverse;
  double constant;  ///< log of weight and density at the mean
};

Factored factored(const Mixture& mixture, std::int64_t k) {
  const std::int64_t d = mixture.means.size(1);
  Factored found;
  found.factor = cholesky(mixture.covariances.narrow(0, k, 1).to_vector<double>(), d);
  found.inverse = inverse(found.factor, d);
  found.constant = std::log(mixture.weights.narrow(0, k, 1).item()) -
                   0.5 * static_cast<double>(d) * std::log(2.0 * std::numbers::pi);
  for (std::int64_t i = 0; i < d; ++i) found.constant += std::log(found.inverse[index(i * d + i)]);
  return found;
}

/// log of weight and density of every component at every row of z, [K][n].
std::vector<Values> log_joint(const Mixture& mixture, const Tensor& z) {
  const std::int64_t d = z.size(1);
  std::vector<Values> all;
  for (std::int64_t k = 0; k < mixture.weights.size(0); ++k) {
    const Factored of = factored(mixture, k);
    const Tensor away = sub(z, mixture.means.narrow(0, k, 1));
    const Tensor white = matmul(away, Tensor::from(of.inverse, {d, d}).transpose(0, 1));
    all.push_back(affine(sum(square(white), 1), -0.5, of.constant).to_vector<double>());
  }
  return all;
}

/// log sum over the components of row i.
double log_sum(const std::vector<Values>& joint, std::size_t i) {
  double most = joint[0][i], total = 0.0;
  for (const Values& component : joint) most = std::max(most, component[i]);
  for (const Values& component : joint) total += std::exp(component[i] - most);
  return most + std::log(total);
}

/// The mixture of the most likelihood when component k has shares[k][i] of point i.
Mixture maximised(const Tensor& z, const std::vector<Values>& shares, double ridge) {
  const std::int64_t n = z.size(0), d = z.size(1);
  const auto count = static_cast<std::int64_t>(shares.size());
  Mixture found{Tensor::zeros({count}, Dtype::f64),
                Tensor::zeros({count, d}, Dtype::f64),
                Tensor::zeros({count, d, d}, Dtype::f64),
                {}};
  for (std::int64_t k = 0; k < count; ++k) {
    const Tensor share = Tensor::from(shares[index(k)], {n, 1});
    const double points = std::max(sum(share).item(), 1e-12);
    const Tensor mean = mul(matmul(share.transpose(0, 1), z), 1.0 / points);
    const Tensor away = sub(z, mean);
    const Tensor covariance = mul(matmul(mul(away, share).transpose(0, 1), away), 1.0 / points);
    found.weights.narrow(0, k, 1).fill(points / static_cast<double>(n));
    found.means.narrow(0, k, 1).copy_from(mean);
    found.covariances.narrow(0, k, 1).copy_from(covariance.reshape({1, d, d}));
    for (std::int64_t i = 0; i < d; ++i) {
      const Tensor variance = found.covariances.narrow(0, k, 1).narrow(1, i, 1).narrow(2, i, 1);
      variance.fill(variance.item() + ridge);
    }
  }
  return found;
}

/// Squared distances of all points from row `number` of `centres`, [n].
Values distances(const Tensor& z, const Tensor& centres, std::int64_t number) {
  return sum(square(sub(z, centres.narrow(0, number, 1))), 1).to_vector<double>();
}

/// Centres far from each other (Arthur and Vassilvitskii, 2007): each a point, drawn in proportion to its squared
/// distance from the nearest before.
Tensor spread_centres(const Tensor& z, std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  const Tensor centres = Tensor::zeros({count, z.size(1)}, Dtype::f64);
  Values nearest(index(z.size(0)), 1.0);
  for (std::int64_t k = 0; k < count; ++k) {
    double left = uniform() * std::accumulate(nearest.begin(), nearest.end(), 0.0);
    std::int64_t chosen = 0;
    while (chosen + 1 < z.size(0) && (left -= nearest[index(chosen)]) > 0.0) ++chosen;
    centres.narrow(0, k, 1).copy_from(z.narrow(0, chosen, 1));
    const Values next = distances(z, centres, k);
    for (std::size_t i = 0; i < next.size(); ++i)
      nearest[i] = k == 0 ? next[i] : std::min(nearest[i], next[i]);
  }
  return centres;
}

/// All of every point to the nearest of the centres that k-means ends at.
std::vector<Values> clusters(const Tensor& z, std::int64_t count, std::uint64_t seed) {
  Tensor centres = spread_centres(z, count, seed);
  std::vector<Values> shares;
  for (int sweep = 0; sweep < 100; ++sweep) {
    std::vector<Values> away;
    for (std::int64_t k = 0; k < count; ++k) away.push_back(distances(z, centres, k));
    std::vector<Values> next(index(count), Values(index(z.size(0)), 0.0));
    for (std::size_t i = 0; i < away[0].size(); ++i) {
      const auto nearest =
          std::ranges::min_element(away, {}, [i](const Values& component) { return component[i]; });
      next[static_cast<std::size_t>(nearest - away.begin())][i] = 1.0;
    }
    if (next == shares) break;
    shares = std::move(next);
    centres = maximised(z, shares, 0.0).means;
  }
  return shares;
}

}  // namespace

Mixture fit_mixture(const Tensor& z, const MixtureOptions& options) {
  ENSURE(z.size(0) >= options.components, "a mixture of {} components for {} points", options.components,
         z.size(0));
  Mixture mixture = maximised(z, clusters(z, options.components, options.seed), options.ridge);
  Values history;
  for (int sweep = 0;; ++sweep) {
    std::vector<Values> shares = log_joint(mixture, z);
    double total = 0.0;
    for (std::size_t i = 0; i < shares[0].size(); ++i) {
      const double whole = log_sum(shares, i);
      for (Values& component : shares) component[i] = std::exp(component[i] - whole);
      total += whole;
    }
    history.push_back(total / static_cast<double>(z.size(0)));
    const bool gained =
        history.size() < 2 || history.back() - history[history.size() - 2] > options.tolerance;
    if (!gained || sweep == options.most_sweeps) break;
    mixture = maximised(z, shares, options.ridge);
  }
  mixture.log_likelihoods = std::move(history);
  return mixture;
}

std::vector<double> log_density(const Mixture& mixture, const Tensor& z) {
  const std::vector<Values> joint = log_joint(mixture, z);
  Values all(joint[0].size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = log_sum(joint, i);
  return all;
}

MixturePrior::MixturePrior(std::int64_t components, std::int64_t nz, Init& init)
    : components_(components),
      nz_(nz),
      weights_(init.constant({components}, 0.0)),
      means_(init.constant({components, nz}, 0.0)),
      factors_(init.constant({components, nz, nz}, 0.0)),
      inverses_(init.constant({components, nz, nz}, 0.0)),
      constants_(init.constant({components}, 0.0)) {
  Mixture normal{Tensor::full({components}, 1.0 / static_cast<double>(components), Dtype::f64),
                 Tensor::zeros({components, nz}, Dtype::f64),
                 Tensor::zeros({components, nz, nz}, Dtype::f64),
                 {}};
  for (std::int64_t i = 0; i < nz; ++i) normal.covariances.narrow(1, i, 1).narrow(2, i, 1).fill(1.0);
  set(normal);
}

void MixturePrior::set(const Mixture& mixture) {
  ENSURE(mixture.weights.shape() == Shape{components_} && mixture.means.shape() == means_.shape() &&
             mixture.covariances.shape() == factors_.shape(),
         "mixture: weights {}, means {} and covariances {} for {} components of {} numbers",
         mixture.weights.shape().str(), mixture.means.shape().str(), mixture.covariances.shape().str(),
         components_, nz_);
  std::vector<Factored> all;
  for (std::int64_t k = 0; k < components_; ++k) all.push_back(factored(mixture, k));
  weights_.value().copy_from(mixture.weights);
  means_.value().copy_from(mixture.means);
  for (std::int64_t k = 0; k < components_; ++k) {
    const Factored& of = all[index(k)];
    factors_.value().narrow(0, k, 1).copy_from(Tensor::from(of.factor, {1, nz_, nz_}));
    inverses_.value().narrow(0, k, 1).copy_from(Tensor::from(of.inverse, {1, nz_, nz_}));
    constants_.value().narrow(0, k, 1).fill(of.constant);
  }
}

Variable MixturePrior::energies(const Variable& z) const {
  std::vector<Variable> joint;
  for (std::int64_t k = 0; k < components_; ++k) {
    const Tensor whitener = inverses_.value().narrow(0, k, 1).reshape({nz_, nz_}).transpose(0, 1);
    const Variable white = matmul(z - means_.value().narrow(0, k, 1), whitener);
    const Variable quadratic = reshape(sum(square(white), 1), {-1, 1});
    joint.push_back(-0.5 * quadratic + constants_.value().narrow(0, k, 1));
  }
  const Variable all = cat(joint, 1);
  const Variable log_p = narrow(all, 1, 0, 1) - narrow(log_softmax(all), 1, 0, 1);  // a - (a - log sum exp)
  return -(log_p + 0.5 * reshape(sum(square(z), 1), {-1, 1}));
}

Tensor MixturePrior::sample(std::int64_t n, Generator& random) const {
  const Tensor means = means_.value();
  const Tensor u = random.uniform({n, 1}, means.dtype()), eps = random.normal({n, nz_}, means.dtype());
  Tensor z = Tensor::zeros({n, nz_}, means.dtype(), means.device());
  Tensor below = Tensor::zeros({1}, means.dtype(), means.device());  // weights of the components before
  Tensor beyond = greater(u, 0.0);                                   // u is in this component or a later one
  for (std::int64_t k = 0; k < components_; ++k) {
    below = add(below, weights_.value().narrow(0, k, 1));
    const bool last = k + 1 == components_;
    const Tensor after =
        last ? Tensor::zeros({n, 1}, means.dtype(), means.device()) : greater(sub(u, below), 0.0);
    const Tensor factor = factors_.value().narrow(0, k, 1).reshape({nz_, nz_});
    const Tensor drawn = add(matmul(eps, factor.transpose(0, 1)), means.narrow(0, k, 1));
    z = add(z, mul(drawn, sub(beyond, after)));
    beyond = after;
  }
  return z;
}

void MixturePrior::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weights", weights_);
  visitor(prefix + "means", means_);
  visitor(prefix + "factors", factors_);
  visitor(prefix + "inverses", inverses_);
  visitor(prefix + "constants", constants_);
}

}  // namespace damc
