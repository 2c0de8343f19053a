/// A batch that processes share, and that each works on in pieces of so many rows as its memory holds (the key
/// batch_gpu): the same training, up to the order in which gradients are summed. What is called a batch below is a
/// process's own rows. Latent vectors alone take no memory to speak of.
#pragma once

#include "optim/learner.h"
#include "tensor/communicator.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace damc {

class Pieces {
 public:
  /// Of at most `rows` rows; 0: a batch is one piece. Keeps a reference to the communicator.
  explicit Pieces(std::int64_t rows = 0, const Communicator& among = alone()) : rows_(rows), among_(&among) {}

  const Communicator& among() const { return *among_; }
  /// How many there are of a batch. Throws Error when they would not be equal.
  std::int64_t count(const Tensor& batch) const {
    const std::int64_t n = batch.size(0);
    if (rows_ == 0 || rows_ >= n) return 1;
    ENSURE(n % rows_ == 0, "{} rows in pieces of {}", n, rows_);
    return n / rows_;
  }
  /// Piece p of the rows of a batch.
  Tensor of(const Tensor& batch, std::int64_t p) const { return rows_of(batch, {p, count(batch)}); }
  /// f(p) of all pieces of a batch, [N, ...]: what it draws are parts of a draw of the whole batch.
  template <class F>
  Tensor map(const Tensor& batch, Generator& random, const F& f) const {
    std::vector<Tensor> rows;
    random.in_pieces(count(batch), [&](std::int64_t p) { rows.push_back(f(p)); });
    return rows.size() == 1 ? rows[0] : cat(rows, 0);
  }
  /// For a Learner: `loss`(p) is a mean over the rows of piece p, and draws from `random`.
  PieceLosses losses(const Tensor& batch, Generator& random,
                     std::function<Variable(std::int64_t p)> loss) const {
    return {count(batch), random, std::move(loss), *among_};
  }
  /// Means over the rows of all processes of the scalars f(p), means over the rows of piece p.
  template <class F>
  std::vector<Tensor> means(const Tensor& batch, const F& f) const {
    const std::int64_t pieces = count(batch), parts = pieces * among_->part().count;
    std::vector<Tensor> all;
    for (std::int64_t p = 0; p < pieces; ++p) {
      std::size_t i = 0;
      for (const Tensor& number : f(p)) {
        const Tensor share = parts == 1 ? number : mul(number, 1.0 / static_cast<double>(parts));
        if (p == 0)
          all.push_back(share);
        else
          all[i] = add(all[i], share);
        ++i;
      }
    }
    return among_->sum(all);
  }

  /// A part of the rows of a batch. Throws Error when the parts are not equal.
  static Tensor rows_of(const Tensor& batch, Part part) {
    const std::int64_t rows = batch.size(0) / part.count;
    ENSURE(rows * part.count == batch.size(0), "{} rows in {} parts", batch.size(0), part.count);
    return part.count == 1 ? batch : batch.narrow(0, part.index * rows, rows);
  }

 private:
  std::int64_t rows_;
  const Communicator* among_;
};

}  // namespace damc
