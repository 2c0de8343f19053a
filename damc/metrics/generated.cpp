#include "damc/metrics/generated.h"

#include <algorithm>
#include <array>

#include "damc/batched.h"
#include "tensor/record.h"

namespace damc {
namespace {

using One = std::array<Tensor, 1>;

}  // namespace

void for_samples(const Model& model, const std::string& source, std::int64_t count, const TakeImages& take) {
  Generator random = make_generator(model.config, Stream::sampling, model.device);
  const std::int64_t batch = evaluation_batch(model.images);
  CapturedStep<0, 1> draw("sampling", {}, model.device,
                          [&](const auto&) { return One{model.decode(model.draw(source, batch, random))}; });
  for (std::int64_t done = 0; done < count; done += batch) {
    const std::int64_t n = std::min(batch, count - done);  // less in the last batch only
    take(n == batch ? draw({})[0] : model.decode(model.draw(source, n, random)));
  }
}

void for_reconstructions(const Model& model, const Images& images, std::int64_t count,
                         const TakeImages& take) {
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  const std::int64_t batch = evaluation_batch(model.images);
  CapturedStep<1, 1> reconstruct("reconstruction", {"x"}, model.device, [&](const auto& in) {
    return One{model.decode(model.infer(in[0], random))};
  });
  for (std::int64_t first = 0; first < count; first += batch) {
    const std::int64_t n = std::min(batch, count - first);
    const Tensor x = to_tensor(images, first, n, model.device);
    take((n == batch ? reconstruct({x}) : reconstruct.unrecorded({x}))[0]);
  }
}

}  // namespace damc
