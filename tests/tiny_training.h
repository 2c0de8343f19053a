/// Training at next to no width on any device, and comparison to the last bit.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "damc/method.h"
#include "tensor/ops.h"

namespace damc {

/// Whether the elements are the same, bit for bit; NaN equals nothing.
inline bool same(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  if (a.dtype() == Dtype::i64) return a.to_vector<std::int64_t>() == b.to_vector<std::int64_t>();
  return a.to_vector<double>() == b.to_vector<double>();
}

inline bool same(const StateDict& a, const StateDict& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && same(x.second, y.second);
  });
}

/// The bytes of every tensor, so that equal means equal to the last bit, NaN included.
inline std::map<std::string, std::string> bytes(const StateDict& state) {
  std::map<std::string, std::string> all;
  for (const auto& [name, t] : state) {
    const Tensor whole = t.contiguous();
    all[name].assign(static_cast<const char*>(whole.raw()),
                     static_cast<std::size_t>(whole.numel()) * size_of(whole.dtype()));
  }
  return all;
}
inline std::map<std::string, std::string> bytes(const Module& module) { return bytes(module.state_dict()); }

/// A preset with its layers but next to no width.
inline Config tiny(const std::string& preset, const std::string& device) {
  ConfigBuilder builder(preset);
  for (const char* key : {"nz", "ndf", "nemb"}) builder.set(key, "8");
  for (const char* key : {"ngf", "nif", "batch", "posterior_steps", "prior_steps", "q_updates"})
    builder.set(key, "2");
  for (const char* key : {"diffusion_steps", "test_posterior_steps", "sample_prior_steps"})
    builder.set(key, "3");
  builder.set("width", "0.05");
  builder.set("ema_every", "1");
  builder.set("device", device);
  return builder.finish();
}

/// n images of noise; others for another k.
inline Tensor pictures(const Config& c, std::int64_t n, Device device, std::int64_t k = 0) {
  const Architecture& images = architecture(c.architecture);
  const Shape shape{n, images.size, images.size, images.channels};
  return affine(Generator(9, static_cast<std::uint64_t>(k)).uniform(shape), 2.0, -1.0).to(device);
}

/// Persistent chains of the methods that have them: more than any batch of these tests.
inline constexpr std::int64_t kTinyImages = 100;

/// The minibatch of noise number k, with other rows of the persistent chains for another k.
inline Minibatch tiny_batch(const Config& c, Device device, std::int64_t k) {
  Minibatch batch(pictures(c, c.batch, device, k));
  for (std::int64_t i = 0; i < c.batch; ++i) batch.rows.push_back((k * c.batch + i) % kTinyImages);
  return batch;
}

/// One model, its optimisers and what a test reads of its iterations.
struct Session {
  explicit Session(const Config& config) : model(config), method(model, 0, kTinyImages) {}

  Stats iterate(std::int64_t k) {
    const Stats stats = method.iterate(k, tiny_batch(model.config, model.device, k));
    for (const auto& [name, value] : stats.read()) numbers.push_back(value);
    return stats;
  }
  void iterate(std::int64_t first, std::int64_t count) {
    for (std::int64_t k = first; k < first + count; ++k) iterate(k);
  }
  StateDict state() const {
    StateDict all = model.state_dict();
    all.merge(method.state_dict());
    return all;
  }
  void load(const StateDict& state) {
    model.load_state_dict(state);
    method.load_state_dict(state);
  }

  Model model;
  Method method;
  std::vector<double> numbers;
};

}  // namespace damc
