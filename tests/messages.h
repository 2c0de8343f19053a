/// What an action complains of.
#pragma once

#include <string>

#include "tensor/error.h"

namespace damc {

/// The message of the E that `action` throws; empty if it throws none.
template <class E = Error, class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

/// Whether `action` complains of a mistake of the user.
template <class Action>
bool blames_user(const Action& action) {
  try {
    action();
  } catch (const UserError&) {
    return true;
  } catch (const Error&) {
  }
  return false;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace damc
