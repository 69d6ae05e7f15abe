#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A machine of its own for machine.py: systemd as process 1 of new namespaces, on this machine's files. What it writes
# stays in memory and ends with it; of this machine it can change nothing but the cgroups below its own.
#
#   boot.sh CGROUP_NAME            in new mount, network, UTS and IPC namespaces, mounts private
#   boot.sh --first CGROUP_NAME    the same in new PID and cgroup namespaces: becomes systemd
#   boot.sh --sweep CGROUP_NAME    when it has ended: removes the cgroups; in a new mount namespace
set -euo pipefail

ROOT=/mnt/root    # what is mounted on /mnt is so in this mount namespace alone

# What would see to the machine's hardware, clock or settings, none of which are ours.
MASKED="systemd-udevd systemd-sysctl systemd-modules-load systemd-timesyncd systemd-random-seed systemd-networkd
systemd-pstore dpdk"

outside() {
  mount -t cgroup2 none /mnt
  mkdir "/mnt/$1"
  echo $$ >"/mnt/$1/cgroup.procs"
  umount /mnt
  mount -t tmpfs none /mnt
  mkdir /mnt/new /mnt/work "$ROOT"
  mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/new,workdir=/mnt/work "$ROOT"
}

kernel_files() {
  mount -t proc proc "$ROOT/proc"
  # Its network is its own; what else can be set here is everybody's.
  mount --bind "$ROOT/proc/sys" "$ROOT/proc/sys"
  mount --bind "$ROOT/proc/sys/net" "$ROOT/proc/sys/net"
  mount -o remount,bind,ro "$ROOT/proc/sys"
  mount -t sysfs sysfs "$ROOT/sys"
  mount -t cgroup2 cgroup2 "$ROOT/sys/fs/cgroup"
  mount -t bpf bpf "$ROOT/sys/fs/bpf"
}

devices() {
  mount -t tmpfs -o mode=755 none "$ROOT/dev"
  mkdir "$ROOT/dev/net" "$ROOT/dev/pts" "$ROOT/dev/shm"
  local device
  for device in null zero full random urandom tty net/tun vhost-net; do
    [ ! -e "/dev/$device" ] || cp -a "/dev/$device" "$ROOT/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$ROOT/dev/pts"
  ln -s pts/ptmx "$ROOT/dev/ptmx"
  mount -t tmpfs none "$ROOT/dev/shm"
}

first() {
  kernel_files
  devices
  mount -t tmpfs -o mode=755 none "$ROOT/run"
  local unit
  for unit in $MASKED; do ln -sfn /dev/null "$ROOT/etc/systemd/system/$unit.service"; done
  # Packages may start what they bring; an index of the manual is not needed.
  rm -f "$ROOT/usr/sbin/policy-rc.d" "$ROOT/var/lib/man-db/auto-update"
  cd "$ROOT"
  mkdir -p .old
  pivot_root . .old
  umount -l .old
  exec env -i container=godwit-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    /lib/systemd/systemd --unit=basic.target --log-target=journal
}

sweep() {
  mount -t cgroup2 none /mnt
  [ ! -d "/mnt/$1" ] || find "/mnt/$1" -depth -type d -exec rmdir {} +
}

case $1 in
  --first) first ;;
  --sweep) sweep "$2" ;;
  *)
    outside "$1"
    exec unshare --cgroup --pid --fork --kill-child "$0" --first "$1"
    ;;
esac
