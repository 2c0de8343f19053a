/// The experiments and the methods that there are, as tables: what each changes in a configuration.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace damc {

/// Keys and their values as text.
using KeyValues = std::vector<std::pair<std::string, std::string>>;

/// What a preset trains: a generative model (model.h), a classifier of digits (classifier.h), the generator and encoder of
/// the small GAN inversion (inversion/autoencoder.h), or the sampler and the energy of GAN inversion
/// (inversion/training.h).
enum class Trains { model, classifier, autoencoder, inversion };

/// An experiment of the paper or our own. Keys that it does not state have the defaults of Config, SVHN's.
struct Preset {
  std::string name;
  std::string images;  ///< their kind: layers of the networks (nets/networks.h), and the reader
  KeyValues keys;
  Trains trains = Trains::model;
  bool like_for_like = false;  ///< its values hold for all methods, also where a method has its own
};

/// The preset that trains a classifier (classifier.h) and no generative model.
inline constexpr const char* kClassifierPreset = "mnist-classifier";

/// In the order of the paper and then our own.
const std::vector<Preset>& presets();
/// Their names.
std::vector<std::string> preset_names();
/// The names of those that train a generative model.
std::vector<std::string> model_preset_names();
/// Throws UserError for an unknown name.
const Preset& find_preset(const std::string& name);

/// The prior of z, and how it is learned: none is, by maximum likelihood, as ratios of densities, or fitted to z when all
/// else has been learned: a mixture, or a second VAE.
enum class PriorKind { normal, energy, ratios, mixture, second_stage };

/// How z of an image is found while training: by chains, or by an encoder, as a Gaussian or a point.
enum class EncoderKind { none, gaussian, point };

/// What images are judged by, of the methods whose networks play against each other, and that have no likelihood: an
/// energy of images, or a critic of pairs of an image and its code.
enum class CriticKind { none, energy, pairs };

/// What a method of learning consists of (method.h).
struct MethodParts {
  std::string name;
  std::string what;  ///< in a line
  PriorKind prior;
  EncoderKind encoder;
  bool sampler;    ///< fitted to the z that learning finds
  KeyValues keys;  ///< values where a configuration does not state its own
  /// The first phase's share of the iterations; 0: there is one phase. With `stages` above 1 each has its share.
  double first_phase = 0.0;
  bool sampler_afterwards = false;  ///< fitted in a second phase, in which nothing else learns
  CriticKind critic = CriticKind::none;

  /// Whether the z of an image is found by a chain while training.
  bool walks() const { return encoder == EncoderKind::none && critic == CriticKind::none; }
};

const std::vector<MethodParts>& methods();
/// Their names.
std::vector<std::string> method_names();
/// Throws UserError for an unknown name.
const MethodParts& method_parts(const std::string& name);

}  // namespace damc
