#include "tools/classifier_run.h"

#include <vector>

#include "damc/checkpoint.h"
#include "damc/run_folder.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace {

constexpr const char* kPrefix = "C.";  // of the weights' names in files

std::unique_ptr<Classifier> fresh(const Config& config, Device device) {
  Generator random = make_generator(config, Stream::init, device);
  Init init(random, Dtype::f32, products_of(config.precision, device));
  return std::make_unique<Classifier>(init);
}

/// Learns classes from the labels of training images.
class LabelTraining final : public Training {
 public:
  LabelTraining(const Config& config, std::vector<std::int32_t> labels)
      : device_(parse_device(config.device)),
        labels_(std::move(labels)),
        classifier_(fresh(config, device_)),
        training_(*classifier_, config, device_) {}

  Stats iterate(std::int64_t k, const Tensor& x, std::span<const std::int64_t> numbers) override {
    std::vector<std::int32_t> labels;
    for (const std::int64_t i : numbers) labels.push_back(labels_[static_cast<std::size_t>(i)]);
    return training_.iterate(k, x, one_hot(labels, Classifier::kClasses).to(device_));
  }
  void check() override { training_.check(); }
  StateDict weights() const override { return classifier_->state_dict(kPrefix); }
  StateDict state_dict() const override { return training_.state_dict(); }
  void find_state(Loading& loading) override {
    classifier_->find_state(loading, kPrefix);
    training_.find_state(loading);
  }
  std::int64_t parameter_count() const override { return classifier_->parameter_count(); }
  const char* loss() const override { return "loss_c"; }
  const char* metric() const override { return "accuracy"; }
  double evaluate(const Images& images) const override { return accuracy(*classifier_, images, device_); }

 private:
  Device device_;
  std::vector<std::int32_t> labels_;
  std::unique_ptr<Classifier> classifier_;
  ClassifierTraining training_;
};

}  // namespace

std::unique_ptr<Training> classifier_training(const Config& config, const Split& split) {
  if (split.train.labels.empty() || split.test.labels.empty()) {
    user_error(fmt::format("the images of '{}' have no labels to learn from", escaped(config.data)));
  }
  return std::make_unique<LabelTraining>(config, split.train.labels);
}

std::unique_ptr<Classifier> load_classifier(const std::filesystem::path& folder, Device device) {
  const Run run = open_run(folder);
  if (run.config.preset != kClassifierPreset) {
    user_error(fmt::format("'{}' is a run of preset {}, not of a classifier", escaped(folder.native()),
                           run.config.preset),
               fmt::format("damc train --preset {} makes one in about a minute", kClassifierPreset));
  }
  auto classifier = fresh(run.config, device);
  try {
    classifier->load_state_dict(read_checkpoint(run.weights).tensors, kPrefix);
  } catch (const UserError& error) {
    throw of_weights(run.weights, error);
  }
  return classifier;
}

}  // namespace damc
