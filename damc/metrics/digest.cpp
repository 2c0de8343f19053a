#include "damc/metrics/digest.h"

#include <sha256.h>

#include <span>
#include <vector>

#include "tensor/error.h"

namespace damc {
namespace {

class Digest {
 public:
  Digest() { SHA256Init(&state_); }

  template <class T>
  void add(std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    SHA256Update(&state_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  void add(const std::string& text) { add(std::span(text.data(), text.size() + 1)); }  // its end, too

  std::string str() {
    std::uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256Final(hash, &state_);
    std::string text;
    for (const std::uint8_t byte : hash) text += fmt::format("{:02x}", byte);
    return text;
  }

 private:
  SHA2_CTX state_;
};

}  // namespace

std::string sha256(const StateDict& weights) {
  Digest digest;
  for (const auto& [name, value] : weights) {
    digest.add(name);
    digest.add(value.shape().str());
    digest.add(std::span<const float>(value.to_vector<float>()));
  }
  return digest.str();
}

std::string sha256(const Images& images, std::int64_t count) {
  ENSURE(count <= images.n, "sha256 of {} images, but there are {}", count, images.n);
  Digest digest;
  digest.add(fmt::format("{}x{}x{}x{}", count, images.height, images.width, images.channels));
  for (std::int64_t i = 0; i < count; ++i) digest.add(images.image(i));
  return digest.str();
}

std::string sha256(const std::string& text) {
  Digest digest;
  digest.add(text);
  return digest.str();
}

}  // namespace damc
