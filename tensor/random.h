/// Random numbers on any device: a seed, a stream and a position in it (see philox.h).
#pragma once

#include "tensor/backend.h"
#include "tensor/part.h"
#include "tensor/step.h"
#include "tensor/tensor.h"

namespace damc {

/// Draws from one stream, in order. Same seed, stream and position: same numbers, on every device and thread
/// count.
class Generator final : public StepState {
 public:
  /// With a `share` of several each draw is that part of a draw of all: those of all parts together are the numbers, and
  /// leave the stream where, a single generator's would. A draw is then of a multiple of 4 numbers, else an Error.
  explicit Generator(std::uint64_t seed, std::uint64_t stream = 0, Device device = {}, Part share = {});

  /// N(0, 1) numbers. The same f32 numbers whatever the type, so that precisions can be compared.
  Tensor normal(const Shape& shape, Dtype dtype = Dtype::f32);
  /// Uniform numbers on (0, 1].
  Tensor uniform(const Shape& shape, Dtype dtype = Dtype::f32);
  /// Takes the next `count` numbers for a kernel that draws them itself.
  RandomSlice take(std::int64_t count);

  /// Calls f(0) .. f(pieces - 1), each of which draws part p of `pieces` equal parts of every draw: together they draw the
  /// numbers that a single call would, of sizes `pieces` times theirs, and leave the stream where that would. All draw
  /// the same sizes. Throws Error for pieces in a piece and, where there are several, for a size that is no multiple of
  /// 4.
  template <class F>
  void in_pieces(std::int64_t pieces, const F& f) {
    const PieceScope whole(*this, pieces);
    for (; piece_.index < pieces; ++piece_.index) {
      delta_ = whole.begin;
      f(piece_.index);
    }
  }

  /// Moves what was taken into the position on the device, where a captured step finds it.
  void settle() override;

  Device device() const { return state_.device(); }
  std::uint64_t seed() const { return seed_; }
  /// Blocks of four numbers used so far; setting it continues a stream exactly.
  std::uint64_t position() const;
  void set_position(std::uint64_t blocks);

 private:
  struct PieceScope {
    PieceScope(Generator& generator, std::int64_t pieces);
    ~PieceScope() { of.piece_ = {}; }
    Generator& of;
    std::uint64_t begin;  // delta_ of every piece
  };

  std::uint64_t seed_, stream_;
  Part share_;
  std::uint64_t delta_ = 0;  // blocks used since state_ was written
  Part piece_;               // of the share
  Tensor state_;             // i64 {seed, position}, on the device
};

/// z <- scales.z z + scales.g g + scales.w w in one pass, w ~ N(0, I) drawn from `noise`, 0 where that is null. z is
/// contiguous; z and g share shape, type and device.
void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales, Generator* noise);

}  // namespace damc
