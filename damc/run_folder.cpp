#include "damc/run_folder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "damc/checkpoint.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostLogBytes = std::int64_t{1} << 28;

void write_text(const fs::path& file, const std::string& text) {
  atomic_write_file(file, std::as_bytes(std::span(text.data(), text.size())));
}

/// The number that a text begins with, of at most nine digits; -1: none.
std::int64_t leading_number(std::string_view text) {
  std::int64_t number = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && number >= 0 && stop - text.data() <= 9 ? number : -1;
}

/// The first number that no folder of `parent` begins with, nor any after it.
std::int64_t next_number(const fs::path& parent) {
  std::int64_t next = 0;
  for (const fs::path& entry : entries_of(parent)) {
    const std::string name = entry.filename().string();
    const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    if (name.substr(digits, 1) == "-") next = std::max(next, leading_number(name) + 1);
  }
  return next;
}

/// Renames a folder to parent/NUMBER-NAME with the next number that is free. Others may take numbers meanwhile: a
/// folder never takes the place of one that holds anything.
fs::path take_number(const fs::path& made, const fs::path& parent, const std::string& name) {
  for (std::int64_t next = next_number(parent);; ++next) {
    const fs::path folder = parent / fmt::format("{:05}-{}", next, name);
    if (::rename(made.c_str(), folder.c_str()) == 0) return folder;
    if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
      throw Error(fmt::format("cannot create {}: {}", folder.string(), std::strerror(errno)));
    }
  }
}

std::string text_of(const fs::path& file,
                    std::int64_t most_bytes = std::numeric_limits<std::int64_t>::max()) {
  const std::vector<std::byte> bytes = read_file(file, most_bytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Keeps those lines of a text file for which `keeps` says so, and ends the last one.
template <class Keeps>
void filter_lines(const fs::path& file, const Keeps& keeps) {
  if (!fs::exists(status_of(file))) return;
  std::istringstream in(text_of(file));
  std::string kept;
  bool same = true;
  for (std::string line; std::getline(in, line);) {
    const bool stays = keeps(line);
    if (stays) kept += line + "\n";
    same = same && stays && !in.eof();
  }
  if (!same) write_text(file, kept);
}

/// A line of log.txt without its time, if it has one.
LogLine split_time(std::string_view line) {
  constexpr std::string_view form = "2026-01-31T23:59:59Z";
  const bool timed = line.size() > form.size() && line[form.size() - 1] == 'Z' && line[form.size()] == ' ';
  if (!timed) return {"", std::string(line)};
  return {std::string(line.substr(0, form.size())), std::string(line.substr(form.size() + 1))};
}

/// The iteration that a line of log.txt tells of, after the time; -1: none.
std::int64_t logged_iteration(std::string_view line) {
  constexpr std::string_view mark = "iteration ";
  const std::string text = split_time(line).text;
  return text.starts_with(mark) ? leading_number(std::string_view(text).substr(mark.size())) : -1;
}

/// Whether a file's last line has no end, as an editor may leave it or a disk that was full.
bool ends_within_line(const fs::path& file) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  char last = '\n';
  return opened && ::fstat(opened.number(), &status) == 0 && status.st_size > 0 &&
         ::pread(opened.number(), &last, 1, status.st_size - 1) == 1 && last != '\n';
}

bool is_run_folder(const fs::path& folder) {
  std::error_code failure;
  return fs::is_regular_file(folder / "config.toml", failure);
}

}  // namespace

fs::path make_run_folder(const fs::path& parent, const std::string& name, const Config& config) {
  // Of this process alone, also where several machines share a disk.
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const fs::path made = parent / fmt::format(".new-{}-{}", ::getpid(), now);
  const OutputFolder place(parent);
  std::error_code failure;
  fs::create_directories(made / "grids", failure);
  if (failure) throw Error(fmt::format("cannot create {}: {}", parent.string(), failure.message()));
  try {
    write_config(made, config);
    return take_number(made, parent, name);
  } catch (...) {
    fs::remove_all(made, failure);
    throw;
  }
}

void check_run_folder(const fs::path& folder) {
  if (is_run_folder(folder)) return;
  status_of(folder / "config.toml");  // says why where that cannot be known
  std::error_code failure;
  if (fs::is_regular_file(folder, failure) && is_run_folder(folder.parent_path())) {
    user_error(fmt::format("{} is a file of a run", folder.string()),
               fmt::format("give the run's folder: {}", folder.parent_path().string()));
  }
  fs::path example = "runs/00000-mnist-quick";
  bool holds_runs = false;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    if (!is_run_folder(entry.path()) || (holds_runs && entry.path() < example)) continue;
    holds_runs = true;
    example = entry.path();  // the newest has the highest number
  }
  user_error(fmt::format("{} is not a run folder: it has no config.toml", folder.string()),
             fmt::format("{}, such as {}",
                         holds_runs ? "it holds runs; give one" : "give a folder that 'damc train' made",
                         example.string()));
}

void check_run_files(const fs::path& folder) {
  const auto check = [&](const char* name, fs::file_type expected, const char* what) {
    const fs::file_status status = status_of(folder / name);
    if (fs::exists(status) && status.type() != expected)
      user_error(fmt::format("'{}' is not a {}", (folder / name).string(), what), "move it elsewhere");
  };
  check("grids", fs::file_type::directory, "folder");
  for (const char* name : {"log.txt", "stats.jsonl", "metrics.jsonl"})
    check(name, fs::file_type::regular, "regular file");
}

Run open_run(const fs::path& folder) {
  check_run_folder(folder);
  const auto models = checkpoints(folder, "model");
  if (models.empty()) {
    user_error(fmt::format("{} holds no weights (model-N.safetensors) yet", folder.string()),
               "let it train to its first save, or continue it with 'damc train --resume'");
  }
  const auto& [iteration, weights] = *models.rbegin();
  return {folder, read_config(folder / "config.toml"), iteration, weights};
}

std::unique_ptr<Model> load_model(const Run& run, const std::string& device) {
  const Trains trains = find_preset(run.config.preset).trains;
  if (trains == Trains::classifier) {
    user_error(fmt::format("{} is a classifier: it makes no images", run.folder.string()),
               "'damc eval RUN --metric classifier-fd --classifier' takes it to measure another run");
  }
  if (trains != Trains::model) {
    user_error(fmt::format("{} is of GAN inversion: it has no generator of its own", run.folder.string()),
               "'damc invert' takes what it has learned");
  }
  Config config = run.config;
  if (!device.empty()) config.device = device;
  return load_model(run.weights, run.iteration, config);
}

void write_config(const fs::path& folder, const Config& config) {
  write_text(folder / "config.toml", to_toml(config));
}

void rewind_run(const fs::path& folder, std::int64_t iterations) {
  for (const fs::path& place : {folder, folder / "grids"}) remove_unfinished_files(place);
  for (const char* kind : {"state", "model"}) {
    for (const auto& [number, file] : checkpoints(folder, kind)) {
      if (number > iterations) fs::remove(file);
    }
  }
  for (const auto& [kind, files] : numbered_pictures(folder / "grids")) {
    for (const auto& [iteration, file] : files) {
      if (iteration > iterations) fs::remove(file);
    }
  }
  for (const char* file : {"stats.jsonl", "metrics.jsonl"}) {
    filter_lines(folder / file, [&](const std::string& line) {
      const auto object = nlohmann::json::parse(line, nullptr, false);
      const auto number = object.is_object() ? object.find("iteration") : object.end();
      return object.is_object() && (number == object.end() || !number->is_number_integer() ||
                                    number->get<std::int64_t>() <= iterations);
    });
  }
  filter_lines(folder / "log.txt",
               [&](const std::string& line) { return logged_iteration(line) <= iterations; });
}

void append_line(const fs::path& file, const std::string& line) {
  const std::string text = (ends_within_line(file) ? "\n" : "") + line + "\n";
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0666);
  std::size_t done = 0;
  while (descriptor >= 0 && done < text.size()) {  // once, unless the disk fills up: then the rest says so
    const ssize_t written = ::write(descriptor, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) break;
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (done < text.size()) {
    throw Error(fmt::format("cannot write to {}: {}", file.string(), std::strerror(reason)));
  }
}

void append_log(const fs::path& folder, const std::string& line) {
  append_line(folder / "log.txt", utc_time() + " " + escaped(line));
}

std::vector<LogLine> read_log(const fs::path& folder) {
  const fs::path file = folder / "log.txt";
  if (!fs::exists(status_of(file))) return {};
  std::istringstream in(text_of(file, kMostLogBytes));
  std::vector<LogLine> lines;
  for (std::string line; std::getline(in, line) && !in.eof();) lines.push_back(split_time(line));
  return lines;
}

NumberedPictures numbered_pictures(const fs::path& folder) {
  NumberedPictures found;
  for (const fs::path& entry : entries_of(folder)) {
    const std::string stem = entry.stem().string();
    const std::size_t dash = stem.rfind('-');
    if (entry.extension() != ".png" || dash == stem.npos || !fs::is_regular_file(status_of(entry))) continue;
    const std::int64_t number = leading_number(std::string_view(stem).substr(dash + 1));
    if (number >= 0) found[stem.substr(0, dash)][number] = entry;
  }
  return found;
}

std::optional<std::int64_t> seconds_of(const std::string& time) {
  std::tm parts{};
  const char* end = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (!end || *end != '\0') return {};
  return static_cast<std::int64_t>(::timegm(&parts));
}

std::string utc_time() { return fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr))); }

}  // namespace damc
