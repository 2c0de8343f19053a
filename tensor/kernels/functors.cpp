#include "tensor/kernels/functors.h"

#include "tensor/error.h"

namespace damc {

void refuse_to_fuse(UnaryOp op) { throw Error(fmt::format("{} is fused into no other kernel", name(op))); }

}  // namespace damc
