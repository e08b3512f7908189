// A list whose links live in its elements: adding and removing allocate nothing and cost a few
// stores.
//
//   list: [first, last]     element: derives from ListLink<Tag>; one Tag for each list it can be in
//   at the same time
//
// Owner: the list owns nothing. Affinity: shard. Lifetime: an element leaves the list before it
// dies. Invariant: an element is in at most one list for each Tag; linked() says whether it is.
#ifndef TORC_SRC_BASE_INTRUSIVE_LIST_H_
#define TORC_SRC_BASE_INTRUSIVE_LIST_H_

#include "src/base/assert.h"

namespace torc {

template <typename Tag>
struct ListLink {
  ListLink* previous = nullptr;
  ListLink* next = nullptr;
  bool linked() const { return next != nullptr; }
};

// A circular doubly linked list of T, in order of PushBack.
template <typename T, typename Tag>
class IntrusiveList {
 public:
  IntrusiveList() { head_.previous = head_.next = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next == &head_; }

  // Whether the element is in a list for Tag: it does not know in which one.
  static bool Linked(const T& element) {
    return static_cast<const ListLink<Tag>&>(element).linked();
  }

  void PushBack(T& element) {
    ListLink<Tag>& link = element;
    CHECK(!link.linked());
    link.previous = head_.previous;
    link.next = &head_;
    link.previous->next = &link;
    head_.previous = &link;
  }

  static void Remove(T& element) {
    ListLink<Tag>& link = element;
    CHECK(link.linked());
    link.previous->next = link.next;
    link.next->previous = link.previous;
    link.previous = link.next = nullptr;
  }

  // The first element, null if there is none; it stays in the list.
  T* Front() { return empty() ? nullptr : static_cast<T*>(head_.next); }

  // Takes the first element out of the list; null if there is none.
  T* PopFront() {
    T* const element = Front();
    if (element != nullptr) Remove(*element);
    return element;
  }

  // Moves all elements of `other` to the end of this list.
  void Splice(IntrusiveList& other) {
    if (other.empty()) return;
    ListLink<Tag>* const first = other.head_.next;
    ListLink<Tag>* const last = other.head_.previous;
    first->previous = head_.previous;
    head_.previous->next = first;
    last->next = &head_;
    head_.previous = last;
    other.head_.previous = other.head_.next = &other.head_;
  }

  template <typename Visit>
  void ForEach(Visit visit) {
    for (ListLink<Tag>* link = head_.next; link != &head_;) {
      ListLink<Tag>* const next = link->next;
      visit(*static_cast<T*>(link));
      link = next;
    }
  }

 private:
  ListLink<Tag> head_;
};

}  // namespace torc

#endif  // TORC_SRC_BASE_INTRUSIVE_LIST_H_
