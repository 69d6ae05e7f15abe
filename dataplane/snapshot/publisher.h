// SPDX-License-Identifier: BSD-3-Clause
// Exchange, grace period, free: how a snapshot reaches the workers
// (quiescent-state based reclamation, rte_rcu_qsbr).
#ifndef GODWIT_DATAPLANE_SNAPSHOT_PUBLISHER_H_
#define GODWIT_DATAPLANE_SNAPSHOT_PUBLISHER_H_

#include <rte_rcu_qsbr.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

#include "dataplane/net/check.h"
#include "dataplane/snapshot/snapshot.h"

namespace godwit {

class Publisher {
 public:
  explicit Publisher(unsigned workers) {
    const size_t size = rte_rcu_qsbr_get_memsize(workers);
    const size_t rounded = (size + 63) / 64 * 64;
    qsbr_ = static_cast<rte_rcu_qsbr*>(std::aligned_alloc(64, rounded));
    GODWIT_CHECK(qsbr_ != nullptr);
    GODWIT_CHECK(rte_rcu_qsbr_init(qsbr_, workers) == 0);
  }
  ~Publisher() {
    delete current_.load(std::memory_order_relaxed);
    std::free(qsbr_);
  }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Worker `worker`, before its first turn and after its last.
  void Join(unsigned worker) {
    rte_rcu_qsbr_thread_register(qsbr_, worker);
    rte_rcu_qsbr_thread_online(qsbr_, worker);
  }
  void Leave(unsigned worker) {
    rte_rcu_qsbr_thread_offline(qsbr_, worker);
    rte_rcu_qsbr_thread_unregister(qsbr_, worker);
  }
  // Worker: the snapshot of this turn, good until Quiescent.
  const Snapshot& Acquire() const {
    return *current_.load(std::memory_order_acquire);
  }
  // Worker: nothing of the turn's snapshot is held any more.
  void Quiescent(unsigned worker) { rte_rcu_qsbr_quiescent(qsbr_, worker); }
  // Control thread only. `next` is complete before the exchange, and when this
  // returns no worker can still see the snapshot it replaced.
  void Publish(std::unique_ptr<const Snapshot> next) {
    std::unique_ptr<const Snapshot> old(
        current_.exchange(next.release(), std::memory_order_acq_rel));
    Synchronize();
  }
  // Waits until every worker has ended the turn it is in. Any thread but a
  // worker's.
  void Synchronize() {
    // rte_rcu_qsbr_synchronize, but inline, where ThreadSanitizer sees it.
    const uint64_t token = rte_rcu_qsbr_start(qsbr_);
    rte_rcu_qsbr_check(qsbr_, token, /*wait=*/true);
  }

 private:
  std::atomic<const Snapshot*> current_{nullptr};
  rte_rcu_qsbr* qsbr_ = nullptr;
};

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_SNAPSHOT_PUBLISHER_H_
