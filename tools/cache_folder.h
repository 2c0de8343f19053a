/// Where the program keeps what takes long to find out, between runs.
#pragma once

#include <filesystem>

namespace damc {

/// The program's folder in the user's cache, XDG_CACHE_HOME/damc or ~/.cache/damc; empty where there is neither. It need
/// not exist.
std::filesystem::path cache_folder();

}  // namespace damc
