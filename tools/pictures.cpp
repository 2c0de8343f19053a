#include "tools/pictures.h"

#include <algorithm>

#include "damc/batched.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

constexpr std::int64_t kColumns = 10;

std::filesystem::path numbered(const std::filesystem::path& folder, const char* what,
                               std::int64_t iterations) {
  return folder / fmt::format("{}-{:06}.png", what, iterations);
}

}  // namespace

Pictures::Pictures(const Model& model, const Images& test)
    : x_(to_tensor(test, 0, std::min(kColumns, test.n), model.device)),
      sources_(model.sources()),
      noise_(make_generator(model.config, Stream::sampling, model.device)),
      draw_("pictures", {"x"}, model.device, [&model, this](const Tensors& in) {
        Tensors drawn;
        if (model.infers()) {
          const Tensor z0 = model.start(in[0], noise_);
          drawn = {model.decode(model.refine(z0, in[0])), model.decode(z0)};
        }
        for (const std::string& source : sources_)
          drawn.push_back(model.decode(model.draw(source, kColumns * kColumns, noise_)));
        return drawn;
      }) {}

Tensors Pictures::draw() {
  noise_.set_position(0);
  return draw_({x_});
}

void Pictures::write(const std::filesystem::path& folder, std::int64_t iterations) {
  const Tensors drawn = draw();
  const std::size_t reconstructed = drawn.size() - sources_.size();
  if (reconstructed > 0) {
    write_grid(numbered(folder, "reconstructions", iterations), cat(Tensors{x_, drawn[0], drawn[1]}, 0),
               x_.size(0));
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    write_grid(numbered(folder, ("samples-" + sources_[i]).c_str(), iterations), drawn[reconstructed + i],
               kColumns);
  }
}

void Pictures::write_reals(const std::filesystem::path& folder, const Tensor& minibatch) {
  const std::int64_t n = std::min(kColumns * kColumns, minibatch.size(0));
  write_grid(numbered(folder, "reals", 0), minibatch.narrow(0, 0, n), std::min(kColumns, n));
}

}  // namespace damc
