/// Memory of captured steps. A replay writes to the addresses that were recorded, so while the recording lives only
/// other captured steps may use them. All steps of a device share one arena: each is done before the next begins and
/// keeps nothing there (tensor/record.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

namespace damc {

/// Blocks for steps, cut from segments. A step that is recorded finds what those before gave back.
class Arena {
 public:
  /// Where segments come from and where they go in the end.
  struct Source {
    std::function<void*(std::size_t bytes)> obtain;
    std::function<void(void* segment, std::size_t bytes)> dispose;
  };

  explicit Arena(Source source) : source_(std::move(source)) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Steps will have so much out at once.
  void expect(std::size_t bytes) { expected_ = std::max(expected_, bytes); }
  /// Makes room for what is expected, in one segment: of many, none might have room for a large tensor.
  void prepare();
  /// The free block at the lowest address that is large enough, without what is left over; else of a new segment.
  void* allocate(std::size_t bytes);
  /// Joins the block with free neighbours. Called from destructors; does not throw.
  void release(void* block);
  bool anything_out() const;

 private:
  struct Block {
    std::size_t bytes;
    bool begins_segment = false, out = false;
  };
  using Blocks = std::map<std::byte*, Block>;  // by address

  Blocks::iterator add_segment(std::size_t bytes);
  void join(const Blocks::iterator& block, const Blocks::iterator& next);

  Source source_;
  Blocks blocks_;
  std::size_t expected_ = 0, held_ = 0;
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
  /// The arena that all captured steps of the device share; a new one after the last of them is gone.
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
