/// Persistent chains: a latent vector for every observation, from which its next chain goes on.
#pragma once

#include <span>

#include "nn/module.h"
#include "tensor/random.h"

namespace damc {

class Pool {
 public:
  /// `rows` latent vectors of `nz` numbers, N(0, I) at first.
  Pool(std::int64_t rows, std::int64_t nz, Generator& random, Dtype dtype = Dtype::f32);

  /// The latent vectors of these rows, [B, nz]. Throws Error for a row that there is not.
  Tensor at(std::span<const std::int64_t> rows) const;
  /// Overwrites them with z [B, nz]; of a row that is named twice the last stays.
  void keep(std::span<const std::int64_t> rows, const Tensor& z);

  /// All rows, as "pool.z".
  StateDict state_dict() const;
  /// Throws UserError when they are missing or have another shape.
  void find_state(Loading& loading) const;

 private:
  Tensor row(std::int64_t number) const;

  Tensor z_;  // [rows, nz]
};

}  // namespace damc
