#include "damc/classifier.h"

#include <algorithm>
#include <vector>

#include "damc/batched.h"
#include "tensor/error.h"

namespace damc {

Classifier::Classifier(Init& init) : head_(kFeatures, kClasses, init) {
  constexpr double slope = 0.2;
  body_.emplace<Conv2d>(1, 32, 4, ConvOptions{2, 1}, init);  // 14x14
  body_.push_back(leaky_relu_layer(slope));
  body_.emplace<Conv2d>(32, 64, 4, ConvOptions{2, 1}, init);  // 7x7
  body_.push_back(leaky_relu_layer(slope));
  body_.emplace<Conv2d>(64, kFeatures, 7, ConvOptions{}, init);
  body_.push_back(leaky_relu_layer(slope));
}

Variable Classifier::features(const Variable& x) const {
  return reshape(body_.forward(x), {x.size(0), kFeatures});
}

Variable Classifier::forward(const Variable& x) const { return head_.forward(features(x)); }

void Classifier::visit(const std::string& prefix, const Visitor& visitor) const {
  body_.visit(prefix + "body.", visitor);
  head_.visit(prefix + "head.", visitor);
}

ClassifierTraining::ClassifierTraining(Classifier& classifier, const Config& c, Device device)
    : watch_(device),
      learner_("classifier", "c", classifier, learning(c, c.lr_c), watch_),
      update_("classifier update", {"x", "target"}, device, [this, &classifier](const auto& in) {
        return learner_.step(cross_entropy(classifier.forward(in[0]), in[1]));
      }) {}

Stats ClassifierTraining::iterate(std::int64_t k, const Tensor& x, const Tensor& target) {
  watch_.begin(k);
  learner_.begin(k);
  Stats stats;
  stats.add<2>({"loss_c", "grad_norm_c"}, update_({x, target}));
  stats.add("lr_c", learner_.rate());
  return stats;
}

Tensor one_hot(std::span<const std::int32_t> labels, std::int64_t classes) {
  std::vector<float> rows(labels.size() * static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ENSURE(0 <= labels[i] && labels[i] < classes, "one_hot: label {} of image {}, expected 0 to {}",
           labels[i], i, classes - 1);
    rows[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(labels[i])] = 1.0f;
  }
  return Tensor::from(rows, {static_cast<std::int64_t>(labels.size()), classes});
}

double accuracy(const Classifier& classifier, const Images& images, Device device) {
  ENSURE(images.n > 0 && static_cast<std::int64_t>(images.labels.size()) == images.n,
         "accuracy: {} images with {} labels", images.n, images.labels.size());
  constexpr std::int64_t batch = 256;
  std::int64_t right = 0;
  for (std::int64_t first = 0; first < images.n; first += batch) {
    const std::int64_t n = std::min(batch, images.n - first);
    const Tensor x = to_tensor(images, first, n, device);
    const std::vector<float> logits = classifier.forward(x).value().to_vector<float>();
    for (std::int64_t i = 0; i < n; ++i) {
      const auto row = logits.begin() + i * Classifier::kClasses;
      const auto guess = std::max_element(row, row + Classifier::kClasses) - row;
      right += guess == images.labels[static_cast<std::size_t>(first + i)];
    }
  }
  return static_cast<double>(right) / static_cast<double>(images.n);
}

}  // namespace damc
