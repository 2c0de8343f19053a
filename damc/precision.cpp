#include "damc/precision.h"

#include "tensor/error.h"

namespace damc {

Precision parse_precision(const std::string& name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "tf32") return Precision::tf32;
  ENSURE(name == "bf16", "no precision '{}'", name);
  return Precision::bf16;
}

}  // namespace damc
