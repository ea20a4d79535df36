#!/usr/bin/env bash
# Builds the fastest portable binary for this machine: static, so that nothing is linked at each start.
#
#   scripts/build-release.sh
#
# On Linux musl, where musl-gcc is there (Debian: musl-tools), else glibc linked statically (libc6-dev). A process of musl's
# starts 0.4 ms sooner: glibc asks the processor some twenty questions first, which a virtual machine takes long to answer.
# Elsewhere the usual release build. The last line printed is the binary's path. LIBC=musl or LIBC=gnu chooses.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
host=$(rustc -vV | sed -n 's/^host: //p')
case $host in
  *-linux-*) ;;
  *)
    cargo build --release --locked
    echo "${CARGO_TARGET_DIR:-$repo/target}/release/tallyhook"
    exit
    ;;
esac

musl=${host%%-*}-unknown-linux-musl
has_static_glibc() { [[ $host == *-gnu* ]] && echo 'int main(void){return 0;}' | cc -static -xc - -o /dev/null; }
has_musl() {
  command -v musl-gcc >/dev/null || return 1
  local library
  library=$(rustc --print sysroot)/lib/rustlib/$musl
  [ -e "$library" ] || { command -v rustup >/dev/null && rustup target add "$musl" >&2; }
  [ -e "$library" ]
}
flags="-Ctarget-feature=+crt-static -Crelocation-model=static"
if [ "${LIBC:-musl}" = musl ] && has_musl; then
  target=$musl
  # rustc's own linker: it takes an order of functions.
  flags+=" -Clinker=rust-lld"
elif [ "${LIBC:-gnu}" = gnu ] && has_static_glibc 2>/dev/null; then
  target=$host
else
  echo "no static C library: install musl-tools or libc6-dev (the names on Debian)" >&2
  exit 1
fi
echo "building for $target, linked statically" >&2

# The target is named even where it is the host: without that the flags would hold for proc-macros too, which
# cannot be static. Fixed addresses save the relocations at each start.
name=${target^^}
export "CARGO_TARGET_${name//-/_}_RUSTFLAGS=$flags"
binary=${CARGO_TARGET_DIR:-$repo/target}/$target/release/tallyhook
build() { cargo rustc --release --locked --target "$target" --package tallyhook --bin tallyhook -- "$@" >&2; }
# Puts what a hook runs side by side, for a process pays for each page of code that it is the first to touch: 2% of a hook's
# time. The names are those of this very build, so it is linked twice. LAYOUT=no leaves it out.
has() { for tool; do command -v "$tool" >/dev/null || return; done; }
if [ "$target" = "$musl" ] && [ "${LAYOUT:-yes}" = yes ] && has valgrind nm python3; then
  order=$(mktemp)
  trap 'rm -f "$order"' EXIT
  build -Cstrip=none
  python3 scripts/order-hot-path.py "$binary" >"$order"
  echo "laying out $(wc -l <"$order") functions" >&2
  build -Clink-arg=--symbol-ordering-file="$order" -Clink-arg=--no-warn-symbol-ordering
else
  build
fi
# A file that was written in one go lies in larger pieces of the page cache than the linker leaves it in: the hook has a
# tenth fewer page faults, and takes 0.5 ms less. Installing copies it anyway.
cp "$binary" "$binary.copy" && mv "$binary.copy" "$binary"
echo "$binary"
