#include "tensor/random.h"

#include "tensor/error.h"
#include "tensor/kernels/philox.h"

namespace damc {

Generator::Generator(std::uint64_t seed, std::uint64_t stream, Device device, Part share)
    : seed_(seed),
      stream_(stream),
      share_(share),
      state_(Tensor::from(std::vector<std::int64_t>{static_cast<std::int64_t>(seed), 0}, {2}, device)) {}

RandomSlice Generator::take(std::int64_t count) {
  note_in_step(*this);
  const Part part{share_.index * piece_.count + piece_.index, share_.count * piece_.count};
  ENSURE(part.count == 1 || count % 4 == 0, "a part of a draw is {} numbers, no multiple of 4", count);
  const auto blocks = static_cast<std::uint64_t>(noise_blocks(count));
  const RandomSlice slice{state_, stream_, delta_ + static_cast<std::uint64_t>(part.index) * blocks};
  delta_ += static_cast<std::uint64_t>(part.count) * blocks;
  return slice;
}

Generator::PieceScope::PieceScope(Generator& generator, std::int64_t pieces)
    : of(generator), begin(generator.delta_) {
  ENSURE(of.piece_.count == 1 && pieces > 0, "{} pieces of one of {} pieces", pieces, of.piece_.count);
  of.piece_ = {0, pieces};
}

namespace {

/// Before anything is taken from the stream.
void check_drawn(const char* what, Dtype dtype) {
  ENSURE(dtype == Dtype::f32 || dtype == Dtype::f64, "{}: numbers of {}, expected f32 or f64", what,
         name(dtype));
}

}  // namespace

Tensor Generator::normal(const Shape& shape, Dtype dtype) {
  check_drawn("normal", dtype);
  const Tensor out = Tensor::empty(shape, dtype, device());
  backend(device()).normal(take(out.numel()), out);
  return out;
}

Tensor Generator::uniform(const Shape& shape, Dtype dtype) {
  check_drawn("uniform", dtype);
  const Tensor out = Tensor::empty(shape, dtype, device());
  backend(device()).uniform(take(out.numel()), out);
  return out;
}

void Generator::settle() {
  if (delta_ == 0) return;
  backend(device()).advance(state_, delta_);
  delta_ = 0;
}

std::uint64_t Generator::position() const {
  return static_cast<std::uint64_t>(state_.to_vector<std::int64_t>()[1]) + delta_;
}

void Generator::set_position(std::uint64_t blocks) {
  state_.copy_from(Tensor::from(
      std::vector<std::int64_t>{static_cast<std::int64_t>(seed_), static_cast<std::int64_t>(blocks)}, {2}));
  delta_ = 0;
}

void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales, Generator* noise) {
  ENSURE(z.shape() == g.shape() && z.dtype() == g.dtype() && z.device() == g.device() && z.is_contiguous(),
         "noisy_update: z is {} {}, g is {} {}", name(z.dtype()), z.shape().str(), name(g.dtype()),
         g.shape().str());
  backend(z.device()).noisy_update(z, g.contiguous(), scales, noise ? noise->take(z.numel()) : RandomSlice{});
}

}  // namespace damc
