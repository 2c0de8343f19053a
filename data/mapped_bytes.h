/// What becomes of bytes that are mapped from a file when the file is shortened or its disk cannot be read.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace damc {

/// Watches over mapped bytes of the file `name` until unwatch(): where they are gone, they read as zeros from there on,
/// and the program is not ended by SIGBUS. So it is for 64 mappings at a time; no more are watched.
void watch_mapped(std::span<const std::byte> bytes, const std::string& name);
void unwatch_mapped(std::span<const std::byte> bytes);

/// To be called after reading: throws Error when `bytes` are of a watched mapping that has lost some since.
void require_whole(std::span<const std::byte> bytes);

}  // namespace damc
