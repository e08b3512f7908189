#include "src/slab/arena.h"

#include "src/base/assert.h"

namespace torc::slab {

Arena::Arena(char* memory, uint32_t pages, const SizeClasses& classes)
    : classes_(classes),
      memory_(memory),
      pages_total_(pages),
      pool_pages_(pages),
      pages_(size_t{pages} + 1),
      page_classes_(classes.count_with_heads()) {
  CHECK(pages > 0);
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory) & (classes.page_size() - 1), 0u);
}

PageId Arena::TakeFromPool() {
  PageId id = pool_;
  if (id != 0) {
    pool_ = pages_[id].next;
  } else if (pages_touched_ < pages_total_) {
    id = ++pages_touched_;
  } else {
    return 0;
  }
  --pool_pages_;
  pages_used_.Add(1);
  pages_[id] = Page{};
  return id;
}

void Arena::GiveToPool(PageId id) {
  pages_[id] = Page{};
  pages_[id].next = pool_;
  pool_ = id;
  ++pool_pages_;
  pages_used_.Subtract(1);
}

void Arena::NoteHolding(uint32_t size_class) {
  page_classes_[size_class].holding_index = holding_count_;
  holding_[holding_count_++] = static_cast<uint16_t>(size_class);
  if (was_held_[size_class]) return;
  was_held_.set(size_class);
  const uint32_t count = ever_held_count_.load(std::memory_order_relaxed);
  ever_held_[count] = static_cast<uint16_t>(size_class);
  ever_held_count_.store(count + 1, std::memory_order_release);
}

void Arena::NoteHoldingNoMore(uint32_t size_class) {
  const uint32_t index = page_classes_[size_class].holding_index;
  holding_[index] = holding_[--holding_count_];
  page_classes_[holding_[index]].holding_index = index;
}

void Arena::AddToRing(PageId id, uint32_t size_class) {
  PageClass& c = page_classes_[size_class];
  Page& p = pages_[id];
  p.use = PageUse::kClass;
  p.size_class = static_cast<uint16_t>(size_class);
  if (c.hand_page == 0) {
    NoteHolding(size_class);
    p.next = p.previous = id;
    c.hand_page = id;
    c.hand_chunk = 0;
  } else {
    // Just behind the hand: the page is swept last.
    p.next = c.hand_page;
    p.previous = pages_[c.hand_page].previous;
    pages_[p.previous].next = id;
    pages_[p.next].previous = id;
  }
  c.pages.Add(1);
  List(id);
}

void Arena::RemoveFromRing(PageId id) {
  Page& p = pages_[id];
  PageClass& c = page_classes_[p.size_class];
  if (p.listed) Unlist(id);
  if (c.hand_page == id) {
    c.hand_page = p.next == id ? 0 : p.next;
    c.hand_chunk = 0;
    if (c.hand_page == 0) NoteHoldingNoMore(p.size_class);
  }
  pages_[p.previous].next = p.next;
  pages_[p.next].previous = p.previous;
  p.next = p.previous = 0;
  c.pages.Subtract(1);
}

void Arena::List(PageId id) {
  Page& p = pages_[id];
  PageClass& c = page_classes_[p.size_class];
  p.listed = true;
  p.previous_free = 0;
  p.next_free = c.free_list;
  if (c.free_list != 0) pages_[c.free_list].previous_free = id;
  c.free_list = id;
}

void Arena::Unlist(PageId id) {
  Page& p = pages_[id];
  PageClass& c = page_classes_[p.size_class];
  if (p.previous_free != 0) {
    pages_[p.previous_free].next_free = p.next_free;
  } else {
    c.free_list = p.next_free;
  }
  if (p.next_free != 0) pages_[p.next_free].previous_free = p.previous_free;
  p.listed = false;
}

Item* Arena::Allocate(uint32_t size_class, bool from_pool) {
  PageClass& c = page_classes_[size_class];
  if (c.free_list == 0) {
    if (!from_pool) return nullptr;
    const PageId fresh = TakeFromPool();
    if (fresh == 0) return nullptr;
    AddToRing(fresh, size_class);
  }
  const PageId id = c.free_list;
  Page& p = pages_[id];
  Item* chunk;
  if (p.free_head != 0) {
    chunk = items().At(p.free_head);
    CHECK(chunk->state() == ChunkState::kFree);
    p.free_head = chunk->next_free();
  } else {
    chunk = ChunkAt(id, p.cut++);
  }
  ++p.used;
  c.chunks_used.Add(1);
  if (p.used == classes_.chunks_per_page(size_class)) Unlist(id);
  return chunk;
}

void Arena::Free(Item* chunk) {
  const PageId id = PageOf(chunk);
  Page& p = pages_[id];
  CHECK(p.use == PageUse::kClass || p.use == PageUse::kDraining);
  CHECK(p.used > 0 && chunk->state() != ChunkState::kFree);
  chunk->InitFree(p.free_head);
  p.free_head = items().Of(chunk);
  --p.used;
  if (p.use == PageUse::kDraining) {
    if (p.used != 0) return;
    PageId* link = &draining_;
    while (*link != id) link = &pages_[*link].next;
    *link = p.next;
    GiveToPool(id);
    return;
  }
  page_classes_[p.size_class].chunks_used.Subtract(1);
  if (p.used == 0) {
    RemoveFromRing(id);
    GiveToPool(id);
  } else if (!p.listed) {
    List(id);
  }
}

PageId Arena::TakePage(Ref head) {
  const PageId id = TakeFromPool();
  if (id == 0) return 0;
  pages_[id].use = PageUse::kItem;
  pages_[id].item = head;
  return id;
}

void Arena::FreePage(PageId id) {
  CHECK(pages_[id].use == PageUse::kItem);
  GiveToPool(id);
}

void Arena::BeginDrain(PageId id) {
  Page& p = pages_[id];
  CHECK(p.use == PageUse::kClass && p.used > 0);
  RemoveFromRing(id);
  page_classes_[p.size_class].chunks_used.Subtract(p.used);
  p.use = PageUse::kDraining;
  p.next = draining_;
  draining_ = id;
}

uint32_t Arena::DrainingUnheld() const {
  uint32_t count = 0;
  for (PageId id = draining_; id != 0; id = pages_[id].next) count += pages_[id].held == 0;
  return count;
}

void Arena::CheckInvariants() const {
  uint32_t in_pool = pages_total_ - pages_touched_;
  for (PageId id = pool_; id != 0; id = pages_[id].next) {
    CHECK(pages_[id].use == PageUse::kPool);
    ++in_pool;
  }
  CHECK_EQ(in_pool, pool_pages_);
  CHECK_EQ(pages_total_ - pool_pages_, pages_used_.Get());

  uint32_t seen = in_pool;
  for (PageId id = draining_; id != 0; id = pages_[id].next) {
    CHECK(pages_[id].use == PageUse::kDraining && pages_[id].used > 0);
    ++seen;
  }
  uint32_t holding = 0;
  for (uint32_t c = 0; c < classes_.count_with_heads(); ++c) {
    const PageClass& page_class = page_classes_[c];
    if (page_class.hand_page != 0) {
      ++holding;
      CHECK_LT(page_class.holding_index, holding_count_);
      CHECK_EQ(holding_[page_class.holding_index], c);
      CHECK(was_held_[c]);
    }
    uint64_t pages = 0, used = 0, listed = 0;
    for (PageId id = page_class.hand_page; id != 0;) {
      const Page& p = pages_[id];
      CHECK(p.use == PageUse::kClass);
      CHECK_EQ(p.size_class, c);
      CHECK(p.used > 0 && p.used <= p.cut);
      CHECK_LE(p.cut, classes_.chunks_per_page(c));
      CHECK_EQ(p.listed, p.used < classes_.chunks_per_page(c));
      CHECK_EQ(pages_[p.next].previous, id);
      ++pages;
      used += p.used;
      listed += p.listed;
      id = p.next == page_class.hand_page ? 0 : p.next;
    }
    CHECK_EQ(pages, page_class.pages.Get());
    CHECK_EQ(used, page_class.chunks_used.Get());
    for (PageId id = page_class.free_list; id != 0; id = pages_[id].next_free) --listed;
    CHECK_EQ(listed, 0u);
    seen += static_cast<uint32_t>(pages);
  }
  CHECK_EQ(holding, holding_count_);
  CHECK_EQ(was_held_.count(), ever_held_count_.load(std::memory_order_relaxed));
  for (PageId id = 1; id <= pages_touched_; ++id) {
    const Page& p = pages_[id];
    if (p.use == PageUse::kItem) ++seen;
    if (p.use != PageUse::kClass && p.use != PageUse::kDraining) continue;
    uint32_t free = 0, free_listed = 0;
    for (uint32_t i = 0; i < p.cut; ++i) free += ChunkAt(id, i)->state() == ChunkState::kFree;
    for (Ref ref = p.free_head; ref != 0; ref = items().At(ref)->next_free()) ++free_listed;
    CHECK_EQ(free, free_listed);
    CHECK_EQ(p.cut - free, p.used);
  }
  CHECK_EQ(seen, pages_total_);
}

}  // namespace torc::slab
