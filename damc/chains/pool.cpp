#include "damc/chains/pool.h"

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr const char* kName = "pool.z";

}  // namespace

Pool::Pool(std::int64_t rows, std::int64_t nz, Generator& random, Dtype dtype)
    : z_(random.normal({rows, nz}, dtype)) {}

Tensor Pool::row(std::int64_t number) const {
  ENSURE(0 <= number && number < z_.size(0), "pool: row {} of {}", number, z_.size(0));
  return z_.narrow(0, number, 1);
}

Tensor Pool::at(std::span<const std::int64_t> rows) const {
  std::vector<Tensor> found;
  for (const std::int64_t number : rows) found.push_back(row(number));
  return cat(found, 0);
}

void Pool::keep(std::span<const std::int64_t> rows, const Tensor& z) {
  ENSURE(z.size(0) == static_cast<std::int64_t>(rows.size()), "pool: {} latent vectors for {} rows",
         z.size(0), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    row(rows[i]).copy_from(z.narrow(0, static_cast<std::int64_t>(i), 1));
}

StateDict Pool::state_dict() const { return {{kName, saved(z_)}}; }

void Pool::find_state(Loading& loading) const {
  const auto found = loading.state().find(kName);
  if (found == loading.state().end() || !found->second.defined() || found->second.dtype() == Dtype::i64)
    user_error(fmt::format("no persistent chains ('{}') in the state", kName));
  if (found->second.shape() != z_.shape()) {
    user_error(fmt::format("'{}' has shape {}, the run needs {}", kName, found->second.shape().str(),
                           z_.shape().str()),
               "it has a row for every training image, with flips two");
  }
  loading.later(z_, found->second);
}

}  // namespace damc
