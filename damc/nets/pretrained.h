/// Weights of networks that somebody else trained, checked by name before they are used.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "nn/module.h"

namespace damc {

struct Pretrained {
  const char* network;                  ///< in messages: "StyleGAN's generator"
  std::string hint;                     ///< which file it is
  std::map<std::string, Shape> shapes;  ///< of the tensors that there have to be, in PyTorch's layout
  std::function<bool(const std::string&)> ignored;  ///< what may be there besides
};

/// Throws UserError naming the first tensor that is missing, of another shape or type, or of another network.
void check_pretrained(const Pretrained& expected, const StateDict& weights);

/// The tensor that tells a size, before all shapes are known. Throws UserError when it is missing or has not as many
/// dimensions.
const Tensor& telling(const Pretrained& expected, const StateDict& weights, const std::string& key, int ndim);

/// How many of "<before>0<after>", "<before>1<after>", .. there are.
std::int64_t count_keys(const StateDict& weights, const std::string& before, const std::string& after);

}  // namespace damc
