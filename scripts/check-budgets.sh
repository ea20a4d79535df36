#!/usr/bin/env bash
# Runs tallyhook's budgets and alerts under the real Claude Code (against a mock of its API): that a session is warned once,
# that a hard budget stops it before the next paid request (with -p, in the terminal view, after --resume, in subagents and
# parallel calls), is lifted and goes on, and that a ledger which is removed, read-only, locked or full stops nobody. Prints how
# far past the cap each scenario got.
#
#   scripts/check-budgets.sh HARNESS [NAME…]     HARNESS: the folder with drive.py and mock_api.py; NAME: only these
#
# TALLYHOOK names the binary (default: target/release/tallyhook), CLAUDE_BIN an installed client. Needs tmux; the scenario
# `full` mounts a small tmpfs where it may, and as root a read-only ledger needs chattr.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
harness=$(realpath "${1:?usage: scripts/check-budgets.sh HARNESS [NAME…]}")
shift
tallyhook=$(realpath "${TALLYHOOK:-$repo/target/release/tallyhook}")
client=${CLAUDE_BIN:?set CLAUDE_BIN to an installed client}
work=$(mktemp -d)
clean_up() {
  chattr -R -i "$work/w" 2>/dev/null || true
  chmod -R u+w "$work/w" 2>/dev/null || true
  umount "$work/w/full/data" 2>/dev/null || true
}
trap 'clean_up; [ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
# The harness with our scenarios in place of its own.
mkdir "$work/harness" "$work/bin"
cp "$harness"/*.py "$work/harness/"
mv "$work/harness/scenarios.py" "$work/harness/usual.py"
cp "$repo/scripts/budget-scenarios.py" "$work/harness/scenarios.py"
ln -s "$tallyhook" "$work/bin/tallyhook"
only=$(IFS=,; echo "${*:-all}")
HARNESS_PATH=$work/bin:/usr/local/bin:/usr/bin:/bin python3 "$work/harness/drive.py" --claude "$client" --work "$work/w" \
  --out "$work/out" --only "$only" --no-dump --env 'TALLYHOOK_DB=@WORK/data/ledger.db' --env 'TZ=UTC'
python3 "$repo/scripts/budget-report.py" "$work" "$tallyhook"
