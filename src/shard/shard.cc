#include "src/shard/shard.h"

namespace torc::shard {

Shard::Shard(ShardId id, ring::Ring& ring, engine::Engine& engine, Epochs& epochs,
             Mailboxes& mailboxes, const std::vector<ring::WakeTarget>& wake_targets,
             const Clock& clock, const torc::Epoch& start)
    : id_(id),
      ring_(ring),
      engine_(engine),
      epochs_(epochs),
      mailboxes_(mailboxes),
      wake_targets_(wake_targets),
      clock_(clock),
      start_(start),
      answers_max_(AnswersMax(mailboxes.shards())),
      posts_max_(PostsMax(mailboxes.shards())),
      under_way_(mailboxes.shards(), 0),
      sent_to_(mailboxes.shards(), false) {}

void Shard::Run() {
  while (!(stopping() && service_->Finished())) RunTurn(/*wait=*/true);
  // Nobody waits for this shard's readers any more; wake-ups that its last turn queued still leave.
  epochs_.Sleep(id_);
  (void)ring_.Turn(0);
}

void Shard::RunTurn(bool wait) {
  int64_t timeout_ns = wait ? sleep_ns_ : 0;
  if (timeout_ns > 0) {
    epochs_.Sleep(id_);
    // A message sent before its sender could see this shard asleep is seen here instead (both sides
    // have a full fence between their write and their read, so at least one of them sees the
    // other's).
    if (mailboxes_.Waiting(id_) || (stopping() && !stop_seen_)) timeout_ns = 0;
  }
  const std::span<const ring::Completion> completions = ring_.Turn(timeout_ns);

  epochs_.Enter(id_);
  now_ns_ = clock_.NowNs();
  now_ = start_.Now(now_ns_);
  engine_.BeginTurn(id_, now_);
  for (const ring::Completion& completion : completions) {
    if (completion.kind != ring::Kind::kWake) service_->OnCompletion(completion);
  }
  if (shards() > 1) ReceiveMessages();
  stop_seen_ = stopping();
  sleep_ns_ = service_->OnTurn(now_ns_);
  engine_.EndTurn(id_);
  if (BackgroundTimed()) sleep_ns_ = 0;
  if (sent_any_) WakeReceivers();
}

// Two more readings of the clock a turn, 20 ns each where the kernel provides it without a system
// call: a turn with one request in it takes several thousand.
bool Shard::BackgroundTimed() {
  const int64_t begin_ns = clock_.NowNs();
  const bool more = engine_.Background(id_);
  const int64_t end_ns = clock_.NowNs();
  const auto raise = [](Counter& longest, int64_t ns) {
    const auto us = static_cast<uint64_t>(ns) / 1000;
    if (us > longest.Get()) longest.Set(us);
  };
  raise(counters_.background_us_max, end_ns - begin_ns);
  raise(counters_.turn_us_max, end_ns - now_ns_);
  return more;
}

void Shard::ResetLongest() {
  counters_.turn_us_max.Set(0);
  counters_.background_us_max.Set(0);
}

void Shard::ReceiveMessages() {
  Message message;
  // Another shard comes first each turn, so that a full batch is not always filled by the same
  // ones.
  if (++receive_first_ == shards()) receive_first_ = 0;
  for (ShardId i = 0; i < shards(); ++i) {
    const ShardId from = (receive_first_ + i) % shards();
    if (from == id_) continue;
    // Answers first: they free what requests may need. Both are bounded by the rings' capacity.
    MessageRing& answers = mailboxes_.answers(from, id_);
    for (uint32_t n = 0; n < answers.capacity() && answers.Pop(&message); ++n) {
      CHECK_LT(0u, under_way_[from]);
      --under_way_[from];
      service_->OnAnswer(from, message);
    }
    MessageRing& requests = mailboxes_.requests(from, id_);
    for (uint32_t n = 0;
         n < requests.capacity() && service_->CanTakeRequest() && requests.Pop(&message); ++n) {
      service_->OnRequest(from, message);
    }
  }
}

bool Shard::ReserveSend(ShardId to) {
  CHECK(to != id_);
  if (under_way_[to] == answers_max_) {
    counters_.mailbox_full.Add(1);
    return false;
  }
  ++under_way_[to];
  return true;
}

void Shard::Send(ShardId to, const Message& message) {
  CHECK(mailboxes_.requests(id_, to).Push(message));
  sent_to_[to] = sent_any_ = true;
  counters_.messages_sent.Add(1);
}

bool Shard::Post(ShardId to, const Message& message) {
  CHECK(to != id_);
  MessageRing& requests = mailboxes_.requests(id_, to);
  // Never more than their part of the ring, so that requests with room reserved always fit.
  if (requests.used() >= posts_max_ || !requests.Push(message)) {
    counters_.mailbox_full.Add(1);
    return false;
  }
  sent_to_[to] = sent_any_ = true;
  counters_.messages_sent.Add(1);
  return true;
}

void Shard::Answer(ShardId to, const Message& message) {
  CHECK(mailboxes_.answers(id_, to).Push(message));
  sent_to_[to] = sent_any_ = true;
  counters_.messages_sent.Add(1);
}

void Shard::WakeReceivers() {
  // Orders the messages before the look at who sleeps: see RunTurn.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (ShardId to = 0; to < shards(); ++to) {
    if (!sent_to_[to]) continue;
    sent_to_[to] = false;
    if (epochs_.Asleep(to)) ring_.Wake(wake_targets_[to]);
  }
  sent_any_ = false;
}

}  // namespace torc::shard
