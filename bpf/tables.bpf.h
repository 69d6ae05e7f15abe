/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/* The tables of one generation as both programs of an uplink read them; the
 * loader makes them share the maps. See map_layout.h. */
#ifndef GODWIT_BPF_TABLES_BPF_H_
#define GODWIT_BPF_TABLES_BPF_H_

#include <linux/bpf.h>
/* After linux/bpf.h, which it needs. */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/map_layout.h"

/* Sizes, not types, of inner keys and values: of a type that only an inner map
 * names, clang 14 leaves out the definition. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 1);
  __type(key, __u32);
  __array(
      values, struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __uint(key_size, sizeof(__u32));
        __uint(value_size, sizeof(struct SteerConfig));
      });
} steer_config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, kSteerAddressSlots);
  __type(key, __u32);
  __array(
      values, struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __uint(key_size, sizeof(struct SteerAddress));
        __uint(value_size, sizeof(__u32));
      });
} steer_addresses SEC(".maps");

struct Tables {
  const struct SteerConfig *config;
  void *addresses;
};

/* The generation in use; 0 before the first is published. */
static __always_inline int ReadTables(struct Tables *tables) {
  __u32 zero = 0;
  void *generation = bpf_map_lookup_elem(&steer_config, &zero);
  if (!generation) return 0;
  tables->config = bpf_map_lookup_elem(generation, &zero);
  if (!tables->config) return 0;
  __u32 slot = tables->config->address_slot;
  tables->addresses = bpf_map_lookup_elem(&steer_addresses, &slot);
  return tables->addresses != 0;
}

/* SteerAddressFlags of an address in wire order; 0: not known here. */
static __always_inline __u32 FlagsOfV4(const struct Tables *tables,
                                       __u32 address) {
  struct SteerAddress key = {{0, 0, bpf_htonl(0xffff), address}};
  const __u32 *flags = bpf_map_lookup_elem(tables->addresses, &key);
  return flags ? *flags : 0;
}

/* A mapped address in an IPv6 header is nobody's: it must not be taken for the
 * IPv4 address it contains. */
static __always_inline __u32 FlagsOfV6(const struct Tables *tables,
                                       const __u32 *address) {
  struct SteerAddress key = {{address[0], address[1], address[2], address[3]}};
  if (key.word[0] == 0 && key.word[1] == 0 &&
      key.word[2] == bpf_htonl(0xffff)) {
    return 0;
  }
  const __u32 *flags = bpf_map_lookup_elem(tables->addresses, &key);
  return flags ? *flags : 0;
}

#endif /* GODWIT_BPF_TABLES_BPF_H_ */
