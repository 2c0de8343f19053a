/// Observations that are worked on in pieces of so many as the memory holds (the key batch_gpu): the same training, up to
/// the order in which gradients are summed. Latent vectors alone take no memory to speak of.
#pragma once

#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace damc {

class Pieces {
 public:
  /// Of at most `rows` rows; 0: a batch is one piece.
  explicit Pieces(std::int64_t rows = 0) : rows_(rows) {}

  /// How many there are of a batch. Throws Error when they would not be equal.
  std::int64_t count(const Tensor& batch) const {
    const std::int64_t n = batch.size(0);
    if (rows_ == 0 || rows_ >= n) return 1;
    ENSURE(n % rows_ == 0, "{} rows in pieces of {}", n, rows_);
    return n / rows_;
  }
  /// Piece p of the rows of a batch.
  Tensor of(const Tensor& batch, std::int64_t p) const {
    const std::int64_t pieces = count(batch), rows = batch.size(0) / pieces;
    return pieces == 1 ? batch : batch.narrow(0, p * rows, rows);
  }
  /// f(p) of all pieces of a batch, [N, ...]: what it draws are parts of a draw of the whole batch.
  template <class F>
  Tensor map(const Tensor& batch, Generator& random, const F& f) const {
    std::vector<Tensor> rows;
    random.in_pieces(count(batch), [&](std::int64_t p) { rows.push_back(f(p)); });
    return rows.size() == 1 ? rows[0] : cat(rows, 0);
  }

 private:
  std::int64_t rows_;
};

}  // namespace damc
