#include "tools/together.h"

#include <unistd.h>

#include <algorithm>
#include <exception>

#include "tensor/processes/launch.h"
#include "tensor/processes/processes.h"
#include "tensor/text.h"
#include "tools/screen.h"
#include "tools/version.h"

namespace damc {
namespace {

/// `text` is one of lines; the first that differs tells how.
void check_same(const Communicator& among, const std::string& text) {
  const std::vector<std::string> texts = among.gather(text);
  for (std::size_t p = 1; p < texts.size(); ++p) {
    const auto [is, due] = std::ranges::mismatch(texts[p], texts[0]);
    if (is == texts[p].end() && due == texts[0].end()) continue;
    const auto line_at = [](const std::string& all, std::string::const_iterator at) {
      const auto start = static_cast<std::size_t>(at - all.begin());
      const std::size_t first = start == 0 ? 0 : all.rfind('\n', start - 1) + 1;
      return escaped(all.substr(first, all.find('\n', start) - first));
    };
    user_error(fmt::format("process {} has '{}', the first one '{}'", p, line_at(texts[p], is),
                           line_at(texts[0], due)),
               "all have to start with the same program on the same kind of processor, data and run");
  }
}

/// Where a process's data and its device are may differ.
bool is_place(const std::string& key) { return key == "data" || key == "device"; }

void check_configurations(const Communicator& among, const Config& config) {
  const std::vector<std::string> texts = among.gather(to_toml(config));
  const Config first = ConfigBuilder::from_text(texts[0], "the first process").finish();
  for (std::size_t p = 1; p < texts.size(); ++p) {
    const Config its = ConfigBuilder::from_text(texts[p], fmt::format("process {}", p)).finish();
    for (const ConfigChange& change : changes(first, its)) {
      if (is_place(change.key->name)) continue;
      user_error(fmt::format("process {} has {} = {}, the first one {}", p, change.key->name, change.after,
                             change.before),
                 "give all the same options");
    }
  }
}

/// What is said of a process that has gone, by the first that is left; empty: nothing, as that one has told it itself, or
/// whoever has started them does, or another.
std::string message_of(const ProcessGone& gone) {
  const Launch launch = launched();
  const std::int64_t first_left = gone.process == 0 ? 1 : 0;
  if (launch.part.index != first_left || gone.told || launch.by == "damc") return {};
  return fmt::format("{}\nhint: a training goes on from its last state: damc train --resume RUN",
                     gone.what());
}

/// Where what this process does would not end.
void end_at_once(const ProcessGone& gone) {
  if (const std::string message = message_of(gone); !message.empty())
    show_aside(fmt::format("damc: error: {}\n", message));
  ::_exit(1);
}

}  // namespace

int run_together(const std::function<void(const Communicator&)>& work) {
  const std::unique_ptr<Communicator> among = join_processes(end_at_once);
  const Part part = among->part();
  if (!among->leads() && !std::freopen("/dev/null", "w", stdout)) throw Error("cannot open /dev/null");
  try {
    work(*among);
  } catch (const Exit& exit) {
    return exit.code;
  } catch (const ProcessGone& gone) {
    const std::string message = message_of(gone);
    if (message.empty()) return 1;
    throw Error(message);
  } catch (const std::exception& error) {
    if (among->leads()) throw;
    throw Error(fmt::format("process {} of {}: {}", part.index, part.count, error.what()));
  }
  return 0;
}

void check_alike(const Communicator& among, const Config& config, const std::string& state) {
  if (among.part().count == 1) return;
  check_same(among, fmt::format("{}\n{}", version_text(), state));
  check_configurations(among, config);
}

}  // namespace damc
