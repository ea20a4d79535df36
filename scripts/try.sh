#!/usr/bin/env bash
# Builds and installs tallyhook, then plays a recorded session of Claude Code through it.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cargo install --path "$repo" --locked
bin=${CARGO_INSTALL_ROOT:-${CARGO_HOME:-$HOME/.cargo}}/bin/tallyhook
"$repo/scripts/replay.sh" "$bin"
echo
echo "installed: $bin"
