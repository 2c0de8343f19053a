/// SHA-256 of what a number was measured with, so that it is known later: 64 hexadecimal digits.
#pragma once

#include <cstdint>
#include <string>

#include "data/images.h"
#include "nn/module.h"

namespace damc {

/// Of names, shapes and values (as f32) of weights: the same for a network however its file is laid out.
std::string sha256(const StateDict& weights);
/// Of sizes and pixels of the first `count` images. Throws Error when there are not so many.
std::string sha256(const Images& images, std::int64_t count);
/// Of a text.
std::string sha256(const std::string& text);

}  // namespace damc
