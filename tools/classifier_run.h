/// The classifier of digits (damc/classifier.h) as what a run trains.
#pragma once

#include <filesystem>
#include <memory>

#include "damc/classifier.h"

namespace damc {

/// On the images and labels of a split. Throws UserError for images without labels.
std::unique_ptr<Training> classifier_training(const Config& config, const Split& split);

/// The classifier of a run, with its newest weights. Throws UserError for a run of another kind.
std::unique_ptr<Classifier> load_classifier(const std::filesystem::path& folder, Device device);

}  // namespace damc
