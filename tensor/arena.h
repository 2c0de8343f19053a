/// Memory of recorded steps. A replay writes where the recording wrote, so those blocks may go to nobody but other
/// steps while the recording lives. All steps of a device share them: one step is done before the next begins, and
/// none leaves anything behind (tensor/record.h).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

namespace damc {

/// Blocks for steps. One that runs finds what it or another gave back, so that soon no new ones are needed.
class Arena {
 public:
  /// Where blocks come from and where they go in the end.
  struct Source {
    std::function<void*(std::size_t bytes)> obtain;
    std::function<void(void* block, std::size_t bytes)> dispose;
  };

  explicit Arena(Source source) : source_(std::move(source)) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// The smallest free block that is large enough, unless it is more than twice as large; else a new one.
  void* allocate(std::size_t bytes);
  void release(void* block);
  std::size_t bytes_reserved() const { return reserved_; }

 private:
  using Blocks = std::multimap<std::size_t, void*>;  // by size

  Source source_;
  Blocks free_;
  // Handed out, with their places in free_: so release, called from destructors, cannot throw.
  std::unordered_map<void*, Blocks::node_type> out_;
  std::size_t reserved_ = 0;
};

/// The arenas of a device: which one memory comes from now, and which one each block goes back to.
class Arenas {
 public:
  /// Memory comes from `arena` while this lives.
  class Use {
   public:
    Use(Arenas& all, std::shared_ptr<Arena> arena) : all_(all), outer_(std::move(all.active_)) {
      all_.active_ = std::move(arena);
    }
    ~Use() { all_.active_ = std::move(outer_); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Arenas& all_;
    std::shared_ptr<Arena> outer_;
  };

  bool in_use() const { return active_ != nullptr; }
  /// The arena that all recorded steps of the device share; a new one after the last of them is gone.
  std::shared_ptr<Arena> of_steps(const Arena::Source& source);
  /// A block of the arena in use.
  void* allocate(std::size_t bytes);
  /// Takes the block back if it is an arena's, from now on or before; else returns false. An arena lives as
  /// long as one of its blocks is out.
  bool release(void* block);

 private:
  std::shared_ptr<Arena> active_;
  std::weak_ptr<Arena> of_steps_;
  std::unordered_map<void*, std::shared_ptr<Arena>> owners_;
};

}  // namespace damc
