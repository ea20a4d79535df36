#!/usr/bin/env bash
# The status line in the real client's terminal view, in front of a mock API: it is on the screen and shows the cost that
# the ledger has, and after `uninstall` it is gone.
#
#   scripts/check-statusline.sh HARNESS     HARNESS: the folder with mock_api.py
#
# TALLYHOOK names the binary (default: target/release/tallyhook), CLAUDE_BIN an installed client. Needs tmux, python3.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/client-and-mock.sh"
pane() { tmux -L "tallyhook-$$" "$@"; }
trap 'pane kill-server 2>/dev/null || true; clean_up' EXIT
fail() { echo "FAIL  $1"; screen; exit 1; }
screen() { pane capture-pane -p -t view; }
# Waits for a text on the screen, up to 30 s.
wait_for() { for _ in $(seq 150); do screen | grep -qF "$1" && return; sleep 0.2; done; return 1; }
# Starts the terminal view, asks, and leaves the screen as it is then.
view() {
  run env > "$work/env"
  printf '#!/bin/bash\ncd %q\nexec env -i' "$work/proj" > "$work/view.sh"
  while IFS= read -r line; do printf ' %q' "$line"; done < "$work/env" >> "$work/view.sh"
  printf ' %q --dangerously-skip-permissions\n' "$claude" >> "$work/view.sh"
  pane new-session -d -s view -x 120 -y 40 bash "$work/view.sh"
  wait_for '❯' || fail 'the terminal view did not start'
  sleep 1
  pane send-keys -t view 'Go [[s:main]]' && sleep 0.5 && pane send-keys -t view Enter
  wait_for 'Done.' || fail 'the client did not answer'
  sleep 2
}

run "$work/bin/tallyhook" init --statusline > "$work/init.log"
view
cost=$(run "$work/bin/tallyhook" show-usage --json \
  | python3 -c 'import json, sys; print("%.2f" % json.load(sys.stdin)["actual"]["cost_usd"])')
screen | grep -F "\$$cost" > "$work/line" || fail "no status line with \$$cost"
echo "ok    the status line is on the screen: $(sed 's/^ *//; s/ *$//' "$work/line" | head -n 1)"
pane kill-session -t view
run "$work/bin/tallyhook" uninstall > "$work/uninstall.log"
view
screen | grep -qF 'context' && screen | grep -qF "\$$cost" && fail 'the status line is still there'
echo 'ok    after uninstall it is gone'
