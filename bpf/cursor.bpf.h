/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* Bounds check and advance, in one place: no program here dereferences frame
 * bytes that Take has not given it. */
#ifndef GODWIT_BPF_CURSOR_BPF_H_
#define GODWIT_BPF_CURSOR_BPF_H_

#include <linux/bpf.h>
/* After linux/bpf.h, which it needs. */
#include <bpf/bpf_helpers.h>

struct Cursor {
  void *at;
  void *end;
};

/* The next `size` bytes, or null if the frame is shorter. `size` is a constant:
 * the verifier must see how far a pointer is good for. */
static __always_inline void *Take(struct Cursor *cursor, __u32 size) {
  void *here = cursor->at;
  if (here + size > cursor->end) return 0;
  cursor->at = here + size;
  return here;
}

/* Leaves out `size` bytes, at most 2040; whether they are there, the next Take
 * finds out. The mask is for the verifier, which wants a bound it can see. */
static __always_inline void Skip(struct Cursor *cursor, __u32 size) {
  cursor->at += size & 0x7ff;
}

#endif /* GODWIT_BPF_CURSOR_BPF_H_ */
