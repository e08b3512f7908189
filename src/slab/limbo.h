// Where unlinked items wait until no shard can still hold a view of them.
//
//   Add --> [filling] ------------------> [waiting] -----------------------> free
//                      EndTurn, if none            BeginTurn, once Elapsed
//                      wait: Mark
//
// Two lists suffice: what is unlinked while one batch waits joins the next. The lists cannot run
// through the items, whose bytes readers still see; they are arrays in address space reserved at
// start, of which only as much is ever touched as was waiting at the same time.
//
// Owner: Partition. Affinity: shard. Lifetime: the partition's. Invariant: see above.
#ifndef TORC_SRC_SLAB_LIMBO_H_
#define TORC_SRC_SLAB_LIMBO_H_

#include <cstddef>
#include <span>

#include "src/engine/engine.h"
#include "src/slab/item.h"

namespace torc::slab {

class Limbo {
 public:
  // For at most `capacity` items at a time. `quiescence` null: nobody else reads. Dies if address
  // space is short: at start only.
  Limbo(size_t capacity, engine::Quiescence* quiescence, ShardId self);
  ~Limbo();
  Limbo(const Limbo&) = delete;
  Limbo& operator=(const Limbo&) = delete;

  void Add(Ref ref);
  // Whether something marked still waits for its readers.
  bool waiting() const { return marked_; }
  // Ends the owner's turn: its own views are over. `also`: something outside this list waits too.
  // True: what was filling (and what waited outside) is waiting now.
  bool EndTurn(bool also);
  // What is free now, valid until EndTurn; empty while readers remain. True in *elapsed: waiting is
  // over.
  std::span<const Ref> BeginTurn(bool* elapsed);

  size_t size() const { return filling_.size + waiting_.size; }
  // Calls visit(ref) for each item.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const List& list : {filling_, waiting_}) {
      for (size_t i = 0; i < list.size; ++i) visit(list.refs[i]);
    }
  }

 private:
  struct List {
    Ref* refs = nullptr;
    size_t size = 0;
  };

  size_t capacity_;
  engine::Quiescence* quiescence_;
  ShardId self_;
  bool marked_ = false;  // a mark stands: its readers are still awaited
  List filling_;
  List waiting_;
};

}  // namespace torc::slab

#endif  // TORC_SRC_SLAB_LIMBO_H_
