/* SPDX-License-Identifier: BSD-3-Clause */
/* How a snapshot reaches the workers and is freed (dataplane/snapshot/
 * publisher.h over DPDK's rte_rcu_qsbr), in every order that its steps can
 * have. Each line between two semicolons is one step; what the code does with
 * two memory accesses is two steps here.
 *
 * Spin knows one order of memory, the strongest. That acquire and release are
 * where they must be, ThreadSanitizer says (unit/snapshot/publisher_test.cc).
 *
 * Each MUTANT is a mistake that was made somewhere, and must be found: */
#define NO_GRACE 1        /* freed as soon as it is replaced */
#define EARLY_QUIET 2     /* a worker reports the end of a turn and goes on */
#define TWO_WORDS 3       /* published in two steps */
#define QUIET_ONCE 4      /* a worker that sleeps is still asked for a report */
#define NO_GUARD 5        /* a driver unmaps what workers may be reading */
#ifndef MUTANT
#define MUTANT 0
#endif

#define WORKERS 2
#define GENERATIONS 3
#define SLOTS 2           /* memory is used again as soon as it may be */
#define OFFLINE 0

/* A snapshot is complete when both halves are of its generation. */
byte first_half[SLOTS];
byte second_half[SLOTS];
byte current = 0;
byte other_word = 0;      /* TWO_WORDS: the second half is found by it */

byte token = 1;           /* rte_rcu_qsbr: the youngest grace period */
byte seen[WORKERS];       /* ... and the one that each worker has ended */
bool linked = true;       /* a memif peer's memory is in the device list */
bool mapped = true;       /* ... and in the address space */
bool published = false;
bool unmapped = false;

/* What a worker no longer needs is set to 0, so that states which only differ
 * in it are one.
 * rte_rcu_qsbr_quiescent, rte_rcu_qsbr_thread_online */
inline Report() {
  now = token;
  d_step { seen[me] = now; now = 0; mine = 0; other = 0; generation = 0;
           uses_memif = false }
}

/* Publisher::Synchronize */
inline Synchronize() {
  atomic { token++; wanted = token };
  worker = 0;
  do
  :: worker < WORKERS ->
     if
#if MUTANT == QUIET_ONCE
     :: seen[worker] >= wanted && seen[worker] != OFFLINE
#else
     :: seen[worker] >= wanted || seen[worker] == OFFLINE
#endif
     fi;
     worker++
  :: else -> break
  od;
  skip;
  d_step { worker = 0; wanted = 0 }
}

/* Worker::Run: turns, and naps in between; it ends at any time, or never. */
proctype Worker(byte me) {
  byte mine, other, generation, now;
  bool uses_memif;
  Report();               /* Join */
  do
  :: /* One turn: Acquire, two looks at what was acquired, Quiescent. */
     mine = current;
     other = mine;
#if MUTANT == TWO_WORDS
     other = other_word;
#endif
     uses_memif = linked;
#if MUTANT == EARLY_QUIET
     now = token;
     seen[me] = now;
#endif
     generation = first_half[mine];
     assert(generation != 0);                   /* not freed */
     assert(second_half[other] == generation);  /* of one generation */
     assert(first_half[mine] == generation);    /* and still the same */
     assert(!uses_memif || mapped);
#if MUTANT != EARLY_QUIET
     Report()
#endif
  :: /* Out and in again: it holds nothing meanwhile. */
     seen[me] = OFFLINE;
     Report()
  :: seen[me] = OFFLINE; break                  /* Leave */
  od
}

/* The control thread: the only one that publishes. */
proctype Control() {
  byte next, old, slot, wanted, worker;
  next = 2;
  do
  :: next <= GENERATIONS ->
     d_step {
       slot = 0;
       do
       :: first_half[slot] != 0 -> slot++
       :: else -> break
       od
     };
     first_half[slot] = next;
     second_half[slot] = next;
     atomic { old = current; current = slot };
#if MUTANT == TWO_WORDS
     other_word = slot;
#endif
#if MUTANT != NO_GRACE
     Synchronize();
#endif
     first_half[old] = 0;
     second_half[old] = 0;
     next++
  :: else -> break
  od;
  published = true
}

/* DPDK's interrupt thread: the peer is gone; memif_guard.cc stands before
 * munmap. */
proctype Interrupt() {
  byte wanted, worker;
  linked = false;
#if MUTANT != NO_GUARD
  Synchronize();
#endif
  mapped = false;
  unmapped = true
}

init {
  atomic {
    first_half[0] = 1;
    second_half[0] = 1;
    run Worker(0);
    run Worker(1);
    run Control();
    run Interrupt()
  }
}

/* Under weak fairness: a worker that goes on lets both waits end. */
ltl ends { <> (published && unmapped) }
