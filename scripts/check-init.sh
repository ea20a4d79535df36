#!/usr/bin/env bash
# init and uninstall under the real Claude Code (against a mock of its API): with the hook registered there are rows,
# after `uninstall` there are none, and with the binary gone the client shows no error.
#
#   scripts/check-init.sh HARNESS     HARNESS: the folder with drive.py and mock_api.py
#
# TALLYHOOK names the binary (default: target/release/tallyhook), CLAUDE_BIN an installed client.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/client-and-mock.sh"
ask() { run "$claude" "$@" -p 'Go [[s:main]]' --dangerously-skip-permissions --output-format text 2>&1; }
rows() { run "$work/bin/tallyhook" export --format jsonl 2>/dev/null | wc -l; }
expect() { if [ "$2" = "$3" ]; then echo "ok    $1"; else echo "FAIL  $1: $2, expected $3"; exit 1; fi; }

run "$work/bin/tallyhook" init | tail -n 5
said=$(ask)
expect 'the client answers' "$said" 'Done.'
expect 'rows with the hook registered' "$(rows)" 1
run "$work/bin/tallyhook" doctor
run "$work/bin/tallyhook" uninstall | tail -n 1
expect 'the client answers without the hook' "$(ask)" 'Done.'
expect 'rows after uninstall' "$(rows)" 1
run "$work/bin/tallyhook" init > "$work/init.log"
mv "$work/bin/tallyhook" "$work/bin/gone"
expect 'the client answers with the binary gone' "$(ask)" 'Done.'
mv "$work/bin/gone" "$work/bin/tallyhook"
expect 'rows with the binary gone' "$(rows)" 1
run "$work/bin/tallyhook" uninstall > "$work/uninstall.log"
mkdir -p "$work/home/.local/bin" && cp "$work/bin/tallyhook" "$work/home/.local/bin/"
expect 'the client answers with the plugin' "$(ask --plugin-dir "$repo")" 'Done.'
expect 'rows with the plugin' "$(rows)" 2
run "$claude" plugin validate --strict "$repo" | tail -n 1
