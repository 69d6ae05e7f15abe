# SPDX-License-Identifier: BSD-3-Clause
# Building, shared by demo, test and bench. Needs say.sh; ROOT is the checkout.

# configure DIR [MESON OPTION...]: only when it has not been done. The compiler
# is CC and CXX of the environment, through ccache where there is one.
configure() {
  local dir=$1
  shift
  [ -f "$dir/build.ninja" ] && return 0
  local cc=${CC:-gcc} cxx=${CXX:-g++}
  # Another clone of the same sources is served from the cache too.
  export CCACHE_NOHASHDIR=1
  if command -v ccache >/dev/null; then
    cc="ccache $cc" cxx="ccache $cxx"
  fi
  rm -rf "$dir"
  CC=$cc CXX=$cxx meson setup "$dir" "$ROOT" "$@" >"$dir.log" 2>&1 || {
    tail -n 20 "$dir.log" >&2
    die "meson setup of $dir failed; the whole log is in $dir.log"
  }
  rm -f "$dir.log"
}

# compile DIR [TARGET...]: quiet when it works, the end of the log when not.
compile() {
  local dir=$1 log=$1/compile.log
  shift
  ninja -C "$dir" -j "$(compile_jobs)" "$@" >"$log" 2>&1 || {
    grep -A 20 -m 1 -E '^FAILED|error:' "$log" >&2 || tail -n 20 "$log" >&2
    die "the build in $dir failed; the whole log is in $log"
  }
}

# A compiler of this code takes up to 1.5 GiB: the protobuf and gRPC headers.
compile_jobs() {
  local cpus memory
  cpus=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1024 / 1536) }' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((cpus < memory ? cpus : memory))
}

# program_targets DIR: the ninja targets of the two programs.
program_targets() {
  ninja -C "$1" -t targets all | sed -n 's/^\([^:]*\/\(godwitd\|godwitctl\)\): .*_LINKER.*/\1/p'
}

# link_programs DIR: build/godwitd and build/godwitctl, wherever meson puts them.
link_programs() {
  local dir=$1 program path
  mkdir -p "$ROOT/build"
  for program in godwitd godwitctl; do
    path=$(find "$dir" -type f -name "$program" -perm -u+x -print -quit)
    [ -n "$path" ] || die "the build has made no $program"
    ln -sfn "$(realpath --relative-to="$ROOT/build" "$path")" "$ROOT/build/$program"
  done
}
