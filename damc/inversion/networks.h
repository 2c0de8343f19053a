/// The networks that GAN inversion works with and does not change, from files of the release or of the same names.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "damc/nets/in_domain_encoder.h"
#include "damc/nets/stylegan.h"
#include "damc/nets/vgg.h"

namespace damc {

/// Where their weights are; empty: there are none.
struct InversionFiles {
  std::string generator, encoder, vgg;
};

struct InversionNetworks {
  std::unique_ptr<StyleGan> generator;
  std::unique_ptr<InDomainEncoder> encoder;  ///< null: none
  std::unique_ptr<Vgg> vgg;                  ///< null: images are compared by pixels alone
  std::map<std::string, std::string>
      checksums;  ///< SHA-256 by name, "generator" and so on, if they were asked for

  /// The checksums as a phrase: "encoder 01ab.., generator 23cd..".
  std::string fingerprint() const;
};

/// Throws UserError naming the first of the networks that training needs, generator and encoder, for which there is no
/// file, and what file it is.
void require_training_files(const InversionFiles& files);

/// Reads them, to multiply in that precision. Throws UserError naming the option ("--generator") and what is wrong with its file: it is not there, is of
/// another network, or does not fit the generator.
InversionNetworks read_inversion_networks(const InversionFiles& files, Device device, bool with_checksums,
                                          MatmulPrecision precision = MatmulPrecision::f32);

/// Throws UserError unless W+ and images of the encoder that `option` names are the generator's.
void check_fit(const std::string& option, const std::string& file, const EncoderSizes& sizes,
               const StyleGan& generator, const std::string& generator_file);

}  // namespace damc
