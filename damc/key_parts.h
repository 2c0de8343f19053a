/// Which keys of a configuration have a part in what it trains: lr_q has none where there is no sampler.
#pragma once

#include "damc/config.h"

namespace damc {

/// False where the training is the same, bit for bit, whatever the key's value.
bool has_part(const ConfigKey& key, const Config& config);

}  // namespace damc
