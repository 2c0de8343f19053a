/// The networks of a VAE on latent vectors (Dai and Wipf, 2019): three hidden layers with ReLU; what comes in is put
/// beside the last of them before the output layer.
#pragma once

#include "nn/layers.h"

namespace damc {

/// [N, in] -> [N, out]
class SkipMlp final : public Layer {
 public:
  SkipMlp(std::int64_t in, std::int64_t hidden, std::int64_t out, Init& init)
      : last_(hidden + in, out, init) {
    for (std::int64_t layer = 0, from = in; layer < 3; ++layer, from = hidden) {
      hidden_.emplace<Linear>(from, hidden, init);
      hidden_.push_back(leaky_relu_layer(0.0));
    }
  }
  Variable forward(const Variable& x) const override {
    return last_.forward(cat(std::vector<Variable>{hidden_.forward(x), x}, 1));
  }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    hidden_.visit(prefix + "hidden.", visitor);
    last_.visit(prefix + "last.", visitor);
  }

 private:
  Linear last_;
  Sequential hidden_;
};

}  // namespace damc
