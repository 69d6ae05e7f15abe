# SPDX-License-Identifier: BSD-3-Clause
# Huge pages for the time of a script. Needs say.sh, cleanup.sh.

HUGEPAGES_FILE=/proc/sys/vm/nr_hugepages

# reserve_hugepages MIB: as many 2 MiB pages as hold MIB, if a quarter of the
# available memory covers them; else none, and godwitd runs without (slower).
# What was reserved before and where it was mounted is restored at the end.
reserve_hugepages() {
  local wanted=$(($1 / 2)) before free available
  [ -w "$HUGEPAGES_FILE" ] || { say "hugepages: this kernel has none; going on without"; return 0; }
  before=$(<"$HUGEPAGES_FILE")
  free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  if [ "$free" -lt "$wanted" ]; then
    if [ $((wanted * 2 * 4)) -gt "$available" ]; then
      say "hugepages: $available MiB of memory are too few to reserve $1 MiB; going on without"
      return 0
    fi
    defer restore_hugepages "$before"
    echo $((before + wanted - free)) >"$HUGEPAGES_FILE"
  fi
  mount_hugepages
}

restore_hugepages() { echo "$1" >"$HUGEPAGES_FILE"; }

mount_hugepages() {
  if grep -q ' hugetlbfs ' /proc/mounts; then return 0; fi
  if [ ! -d /dev/hugepages ]; then
    defer rmdir /dev/hugepages
    mkdir /dev/hugepages
  fi
  defer unmount_hugepages
  mount -t hugetlbfs -o pagesize=2M none /dev/hugepages
}

unmount_hugepages() {
  # Only files that godwit keeps there; others' would make umount refuse.
  rm -rf /dev/hugepages/godwit
  umount /dev/hugepages
}
