#include "tensor/dtype.h"

#include "tensor/error.h"

namespace damc {

void refuse_dtype(Dtype dtype) {
  throw Error(fmt::format("no kernel of this operation for {}", name(dtype)));
}

}  // namespace damc
