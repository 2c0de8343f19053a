/// Which build of the program this is.
#pragma once

#include <string>

namespace damc {

/// Version and commit, compiler, build options and libraries, a line each.
std::string version_text();

}  // namespace damc
