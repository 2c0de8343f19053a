#include "damc/metrics/generated.h"

#include <algorithm>
#include <array>

#include "damc/batched.h"
#include "tensor/record.h"

namespace damc {
namespace {

using One = std::array<Tensor, 1>;

One made(const Making& making, const Tensor& images) {
  return {making.features ? making.features(images) : images};
}

}  // namespace

void for_samples(const Model& model, const std::string& source, std::int64_t count, const TakeImages& take,
                 const Making& making) {
  Generator random = make_generator(model.config, Stream::sampling, model.device);
  const std::int64_t batch = evaluation_batch(model.images);
  CapturedStep<0, 1> draw("sampling", {}, model.device,
                          [&](const auto&) { return One{model.decode(model.draw(source, batch, random))}; });
  share_batches(
      making.among, count, batch, &random,
      [&](std::int64_t, std::int64_t n) {
        return made(making, n == batch ? draw({})[0] : model.decode(model.draw(source, n, random)));
      },
      [&](std::int64_t, const One& results) { take(results[0]); });
}

void for_reconstructions(const Model& model, const Images& images, std::int64_t count, const TakeImages& take,
                         const Making& making) {
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  const std::int64_t batch = evaluation_batch(model.images);
  CapturedStep<1, 1> reconstruct("reconstruction", {"x"}, model.device, [&](const auto& in) {
    return One{model.decode(model.infer(in[0], random))};
  });
  share_batches(
      making.among, count, batch, &random,
      [&](std::int64_t first, std::int64_t n) {
        const Tensor x = to_tensor(images, first, n, model.device);
        return made(making, (n == batch ? reconstruct({x}) : reconstruct.unrecorded({x}))[0]);
      },
      [&](std::int64_t, const One& results) { take(results[0]); });
}

}  // namespace damc
