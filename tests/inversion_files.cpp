/// Writes the small networks of GAN inversion (golden/inversion.py): inversion_files GENERATOR ENCODER VGG SAMPLER
#include "tensor/io/safetensors.h"
#include "tests/inversion_weights.h"

int main(int, char** arguments) {
  damc::write_safetensors(arguments[1], damc::small_generator());
  damc::write_safetensors(arguments[2], damc::small_encoder());
  damc::write_safetensors(arguments[3], damc::small_vgg());
  damc::write_safetensors(arguments[4], damc::small_sampler());
}
