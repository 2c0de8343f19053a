/// Errors. A mistake of the user (file, flag, shape, device) is a `UserError`: one line, the values in it and
/// a hint; the tools exit with 2. Everything else that fails while running is an `Error`: exit 1.
/// fmt is kept out of .cu files, so this header must not be included from device code (see host_device.h).
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace damc {

/// A failure while running.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A mistake in what the user gave: reported without a stack trace, exit code 2.
class UserError : public Error {
 public:
  using Error::Error;
};

/// A device has no more memory. The message is one line with what was asked for and what is free.
class OutOfMemory : public Error {
 public:
  /// Bytes of a request and of the device: `free` for this program, all of it, and what this program uses.
  struct Bytes {
    std::size_t asked, free, total, in_use;
  };
  OutOfMemory(const std::string& device, const Bytes& b)
      : Error(fmt::format(
            "{} is out of memory: {:.1f} MiB asked for, {:.1f} of {:.1f} MiB free, {:.1f} in use here",
            device, mebibytes(b.asked), mebibytes(b.free), mebibytes(b.total), mebibytes(b.in_use))),
        bytes(b) {}

  const Bytes bytes;

 private:
  static double mebibytes(std::size_t count) { return static_cast<double>(count) / 1048576.0; }
};

/// Throws UserError("<message>\nhint: <hint>"); the hint may be empty.
[[noreturn]] inline void user_error(const std::string& message, const std::string& hint = "") {
  throw UserError(hint.empty() ? message : message + "\nhint: " + hint);
}

}  // namespace damc

/// Throws Error with a formatted message unless `cond` holds:
/// `ENSURE(a == b, "matmul: inner sizes differ: a is {}, b is {}", a, b)`.
#define ENSURE(cond, ...)                                         \
  do {                                                            \
    if (!(cond)) throw ::damc::Error(::fmt::format(__VA_ARGS__)); \
  } while (0)
