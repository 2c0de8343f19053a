#include "tests/golden.h"

#include <cmath>
#include <numeric>

#include "autograd/checks/op_cases.h"
#include "tensor/error.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"
#include "tests/worse.h"

namespace damc {
namespace {

/// 64-bit FNV-1a hash.
std::uint64_t fnv1a(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

/// The finalizer of the splitmix64 generator.
std::uint64_t splitmix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

double norm(const Tensor& t) { return std::sqrt(sum_squares(t.to(Dtype::f64)).item()); }

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// Entries 0, s, 2s, .. of the flattened tensor; s is the first number from ceil(n / limit) on prime to n.
Tensor thinned(const Tensor& t, std::int64_t limit) {
  const std::vector<double> all = t.to_vector<double>();
  const auto n = static_cast<std::int64_t>(all.size());
  std::int64_t stride = (n + limit - 1) / limit;
  while (std::gcd(stride, n) != 1) ++stride;
  std::vector<double> kept;
  for (std::int64_t i = 0; i < n; i += stride) kept.push_back(all[static_cast<std::size_t>(i)]);
  return Tensor::from(kept, {static_cast<std::int64_t>(kept.size())});
}

}  // namespace

Tensor golden_formula(const std::string& name, const Shape& shape, double bound, double offset) {
  // value = float32(offset + float32(bound) (2 k / 2^24 - 1)), k = splitmix64(fnv1a64(name) + i golden) >> 40
  const auto rounded = static_cast<double>(static_cast<float>(bound));
  const std::uint64_t hash = fnv1a(name);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto k = static_cast<double>(splitmix(hash + i * 0x9E3779B97F4A7C15) >> 40);
    values[i] = static_cast<float>(offset + rounded * (k / 8388608.0 - 1.0));
  }
  return Tensor::from(values, shape);
}

Tensor golden_input(const std::string& name, const Shape& shape, Dtype dtype) {
  const bool latent = name == "z" || name == "zT";
  return golden_formula("input." + name, shape, latent ? 1.5 : 1.0).to(dtype);
}

void fill_with_formula(Module& module, const std::string& prefix) {
  StateDict state = module.state_dict(prefix);
  for (auto& [name, value] : state) {
    const std::size_t end = name.rfind('.') + 1;
    const std::string stem = name.substr(0, end), leaf = name.substr(end);
    double bound = 1.0, offset = 0.0;
    if (leaf == "weight" || leaf == "bias") {
      const Shape weight = state.at(stem + "weight").shape();
      const bool is_norm = weight.ndim() == 1;
      bound = is_norm ? 0.1 : 1.0 / std::sqrt(static_cast<double>(weight.numel() / weight[0]));
      offset = is_norm && leaf == "weight" ? 1.0 : 0.0;
    }
    value = golden_formula(name, value.shape(), bound, offset);
  }
  module.load_state_dict(state, prefix);
}

Golden::Golden(const std::string& name)
    : tensors_(
          read_safetensors(std::string(DAMC_SOURCE_DIR "/tests/golden/") + name + ".safetensors").tensors) {}

const Tensor& Golden::operator[](const std::string& name) const {
  const auto found = tensors_.find(name);
  ENSURE(found != tensors_.end(), "no golden tensor '{}'", name);
  return found->second;
}

double Golden::error(const std::string& name, const Tensor& got) const {
  const auto size = tensors_.find(name + ".norm");
  if (size != tensors_.end()) return thinned_error(name, got, size->second.item());
  const Tensor& wanted = (*this)[name];
  return relative_error(got.reshape(wanted.shape()), wanted);
}

double Golden::thinned_error(const std::string& name, const Tensor& got, double wanted_norm) const {
  constexpr double rounding = 1e-9;  // the bias of a convolution before an instance norm has no effect
  if (wanted_norm < rounding)
    return norm(got) / (*this)[name.substr(0, name.rfind('.')) + ".weight.norm"].item();
  const bool weight = contains(name, ".grad.G.") || contains(name, ".grad.E.") || contains(name, ".grad.Q.");
  return worse(relative_error(thinned(got, weight ? 32 : 512), (*this)[name]),
               std::abs(norm(got) / wanted_norm - 1.0));
}

}  // namespace damc
