// SPDX-License-Identifier: BSD-3-Clause
// Keeps memif's driver (DPDK 22.11) from unmapping a ring that a worker is
// just reading.
//
// When its peer goes away, the driver clears its CONNECTED flag, closes the
// rings' eventfds, and unmaps the shared memory: in the EAL's interrupt
// thread, without asking whether a worker is inside its rx or tx function,
// which look at the flag once, on entry. The drivers are shared objects, so
// this executable's own munmap and close stand before libc's for them: when
// the memif driver calls, they first wait until every worker has passed a
// quiescent point. From there on a worker sees the flag and touches nothing.
//
// And from taking the process down with a peer that connects and is gone at
// once. Greeting it fails then; the driver closes the socket, but leaves it
// among the EAL's interrupt sources, which panics when it next builds its list.
// What the driver sends to a peer that is gone counts as sent: it learns of the
// end where it reads, and there it takes the channel down in full.
//
// And from waiting without end, as a client, for a server that does not accept:
// our connect does not wait when the driver calls.
//
// Link whole: device_dep exports the four symbols. What it does not help
// against: a peer that writes bad offsets into the shared descriptors. Memif
// peers share memory with us and are trusted; use vhost for those that are not.
#ifndef GODWIT_DATAPLANE_DEVICE_MEMIF_GUARD_H_
#define GODWIT_DATAPLANE_DEVICE_MEMIF_GUARD_H_

#include <cstdint>

namespace godwit {

// `wait` returns when every worker has passed a quiescent point after the
// call. It is called on the EAL's interrupt thread and on the control thread,
// so it must take no lock that either holds; rte_rcu_qsbr_synchronize fits.
// nullptr: no waiting (before the first worker, after the last).
void SetMemifGraceHook(void (*wait)());

// Looks up where the memif driver's code is; EthPort does, before it opens
// one. False if the driver is not loaded.
bool ArmMemifGuard();

// Runs `call` on the EAL's interrupt thread and waits for its end: there it
// meets none of the driver's own handlers, which take no lock against a stop
// from outside. Not from that thread itself.
void RunOnInterruptThread(void (*call)(void*), void* argument);

// The socket that the driver, as a client, has connected since the last call;
// -1 if none. On the thread that starts ports.
int TakeMemifConnection();

// How often a call of the driver's waited.
uint64_t MemifGuardWaits();

}  // namespace godwit

#endif  // GODWIT_DATAPLANE_DEVICE_MEMIF_GUARD_H_
