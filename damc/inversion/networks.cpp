#include "damc/inversion/networks.h"

#include "damc/checkpoint.h"
#include "damc/metrics/digest.h"
#include "tensor/error.h"

namespace damc {
namespace {

template <class Net>
std::unique_ptr<Net> read_network(const char* name, const std::string& file, Device device,
                                  MatmulPrecision precision, std::map<std::string, std::string>* checksums) {
  if (file.empty()) return nullptr;
  try {
    const StateDict weights = read_checkpoint(file).tensors;
    auto net = std::make_unique<Net>(weights, device);
    net->precision = precision;
    if (checksums) checksums->emplace(name, sha256(weights));
    return net;
  } catch (const UserError& error) {
    throw UserError(fmt::format("--{} '{}': {}", name, file, error.what()));
  }
}

}  // namespace

void require_training_files(const InversionFiles& files) {
  for (const auto& [name, file] : {std::pair{"generator", files.generator}, {"encoder", files.encoder}}) {
    if (!file.empty()) continue;
    user_error(
        fmt::format("GAN inversion needs the weights of {} {}: --{} FILE",
                    name == std::string("encoder") ? "an" : "a", name, name),
        fmt::format("styleganinv_ffhq256_{0}.pth of idinvert_pytorch, or the {0}.safetensors of a run of "
                    "preset invert-mini-networks",
                    name));
  }
}

InversionNetworks read_inversion_networks(const InversionFiles& files, Device device, bool with_checksums,
                                          MatmulPrecision precision) {
  InversionNetworks nets;
  auto* checksums = with_checksums ? &nets.checksums : nullptr;
  nets.generator = read_network<StyleGan>("generator", files.generator, device, precision, checksums);
  nets.encoder = read_network<InDomainEncoder>("encoder", files.encoder, device, precision, checksums);
  nets.vgg = read_network<Vgg>("vgg", files.vgg, device, precision, checksums);
  const std::int64_t size = nets.generator->size();
  if (nets.vgg && size % 8 != 0) {
    user_error(fmt::format("--vgg needs images of 8x8 at least, --generator '{}' makes {}x{}",
                           files.generator, size, size),
               "leave out --vgg");
  }
  if (nets.encoder)
    check_fit("--encoder", files.encoder, nets.encoder->sizes(), *nets.generator, files.generator);
  return nets;
}

std::string InversionNetworks::fingerprint() const {
  std::string all;
  for (const auto& [name, checksum] : checksums)
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", name, checksum);
  return all;
}

void check_fit(const std::string& option, const std::string& file, const EncoderSizes& sizes,
               const StyleGan& generator, const std::string& generator_file) {
  const std::int64_t latents = generator.sizes().latents(), size = generator.size();
  if (sizes.latents == latents && sizes.size() == size) return;
  user_error(
      fmt::format(
          "{} '{}' makes W+ of {} numbers from images of {}x{}, --generator '{}' takes {} and makes {}x{}",
          option, file, sizes.latents, sizes.size(), sizes.size(), generator_file, latents, size, size),
      "take both of one release");
}

}  // namespace damc
