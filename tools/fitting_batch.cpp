#include "tools/fitting_batch.h"

#include <algorithm>
#include <numeric>

#include "damc/batched.h"
#include "damc/diagnosis.h"
#include "damc/method.h"
#include "damc/metrics/inference.h"
#include "damc/presets.h"
#include "tools/commands.h"
#include "tools/pictures.h"
#include "tools/stop_signal.h"
#include "tools/training_memory.h"

namespace damc {
namespace {

Images first(const Images& images, std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::min(n, images.n)));
  std::iota(numbers.begin(), numbers.end(), 0);
  return subset(images, numbers);
}

/// Whether iterations of this batch end well, up to those that are recorded, and what is done beside them.
bool fits(Model& model, const Split& split, std::int64_t batch) {
  const Architecture& images = model.images;
  try {
    Pictures pictures(model, split.test);
    pictures.draw();  // as at the start
    Method method(model, 0, split.train.n);
    const Tensor both =
        Tensor::zeros({2 * batch, images.size, images.size, images.channels}, Dtype::f32, model.device);
    const Tensor x = both.narrow(0, 0, batch);  // beside the next minibatch
    const std::vector<std::int64_t> rows(static_cast<std::size_t>(batch), 0);
    for (int k = 0; k < kCallsUntilRecorded; ++k)
      method.iterate((k + 1) * model.config.g_every - 1, {x, rows});  // those in which all learn
    diagnose(model, x);
    pictures.draw();
    if (model.config.eval_every > 0 && model.infers())
      infer_all(model, first(split.test, evaluation_batch(images)));
    backend(model.device).synchronize();
    return true;
  } catch (const Error&) {  // a library's own error as well: it is no batch to name
    return false;
  }
}

}  // namespace

std::int64_t fitting_batch(Model& model, const Split& split, const OutOfMemory& error) {
  std::int64_t batch = largest_batch(model.config, error.bytes.free + error.bytes.in_use);
  while (batch > 0 && !fits(model, split, batch)) {
    if (stop_signal()) throw Exit{128 + stop_signal()};
    batch = batch * 15 / 16;  // the libraries need memory, too
  }
  return batch;
}

std::int64_t fitting_pieces(Model& model, const Split& split, std::int64_t most) {
  const std::int64_t batch = model.config.batch;
  if (method_parts(model.config.method).critic != CriticKind::none) return 0;  // learns from whole batches
  for (std::int64_t rows = most / 4 * 4; rows > 0; rows -= 4) {
    if (stop_signal()) throw Exit{128 + stop_signal()};
    model.config.batch_gpu = rows;
    if (batch % rows == 0 && fits(model, split, batch)) return rows;
  }
  return 0;
}

std::int64_t fitting_share(std::int64_t batch, const std::function<void(std::int64_t)>& work) {
  while (batch /= 2) {
    if (stop_signal()) throw Exit{128 + stop_signal()};
    try {
      work(batch);
      return batch;
    } catch (const Error&) {  // a library's own error as well, as above
    }
  }
  return 0;
}

std::string with_fitting_batch(const OutOfMemory& error, std::int64_t fits, std::int64_t asked) {
  if (fits == 0) return fmt::format("{}; it has no room for a batch of any size", error.what());
  return fmt::format("{}; a batch of {} instead of {} fits", error.what(), fits, asked);
}

}  // namespace damc
