#!/usr/bin/env bash
# Writes scripts/hot-path.order: the functions that the hook and the status line run, for the linker to put side by side
# (see build.rs).
#
#   scripts/order-hot-path.sh
#
# Builds both releases with their symbols, runs them on payloads under callgrind, and takes every function that was called,
# in the order of the first call. Run it after a change of version or of rustc, or when bench-hook.sh shows more faults.
# Needs valgrind, python3 and nm.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
for tool in valgrind python3 nm; do
  command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_PROFILE_RELEASE_STRIP=none
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target/symbols}
static=$(scripts/build-release.sh | tail -1)
cargo build --release --locked
python3 scripts/order-hot-path.py "$work" "$static" "$CARGO_TARGET_DIR/release/tallyhook" > "$work/order"
mv "$work/order" scripts/hot-path.order
wc -l scripts/hot-path.order
