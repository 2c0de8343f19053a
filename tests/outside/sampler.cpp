/// A chain on a density of another project's, and a picture: the libraries above the engine. OUTSIDE PNG
#include <cstdint>
#include <cstdio>

#include "autograd/ops.h"
#include "damc/chains/langevin.h"
#include "damc/chains/potential.h"
#include "data/image_io.h"

int main(int, char** argv) {
  using namespace damc;
  const FunctionPotential density([](const Variable& z) { return 1.5 * sum(square(z - 4.0)); });
  const Tensor end = langevin(density, Tensor::full({1, 1}, 0.0), {.steps = 200, .step_size = 0.5}, nullptr);
  const std::uint8_t pixels[] = {10, 20, 30, 40};
  write_png(argv[1], pixels, 2, 2, 1);
  std::printf("the top of the density %.4f, a picture %d pixels high\n", end.item(),
              static_cast<int>(read_image_size(argv[1]).height));
}
