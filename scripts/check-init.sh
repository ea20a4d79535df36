#!/usr/bin/env bash
# init and uninstall under the real Claude Code (against a mock of its API): with the hook registered there are rows,
# after `uninstall` there are none, and with the binary gone the client shows no error.
#
#   scripts/check-init.sh HARNESS     HARNESS: the folder with drive.py and mock_api.py
#
# TALLYHOOK names the binary (default: target/release/tallyhook), CLAUDE_BIN an installed client.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
harness=$(realpath "${1:?usage: scripts/check-init.sh HARNESS}")
claude=$(realpath "${CLAUDE_BIN:?CLAUDE_BIN must name an installed client}")
built=$(realpath "${TALLYHOOK:-$repo/target/release/tallyhook}")
work=$(mktemp -d)
mock=
trap 'kill $mock 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work"/{bin,home/.claude,proj,api}
cp "$built" "$work/bin/tallyhook"
(cd "$work/proj" && git init -q && echo one > a.txt)
cat > "$work/script.json" <<JSON
{"scripts": {"main": [
  {"content": [{"tool": "Bash", "input": {"command": "echo hello", "description": "Say hello"}}]},
  {"content": [{"text": "Done."}]}]}}
JSON
python3 "$harness/mock_api.py" --script "$work/script.json" --log "$work/api" 2>"$work/mock.err" &
mock=$!
for _ in $(seq 100); do [ -s "$work/api/port" ] && break; sleep 0.05; done
key=sk-ant-api03-dummy-key-for-a-mock-on-loopback-only-0000000000
echo '{"hasCompletedOnboarding": true, "bypassPermissionsModeAccepted": true,
  "customApiKeyResponses": {"approved": ["'"${key: -20}"'"], "rejected": []},
  "projects": {"'"$work/proj"'": {"hasTrustDialogAccepted": true}}}' > "$work/home/.claude/.claude.json"
run() { (cd "$work/proj" && env -i PATH="$(dirname "$claude"):/usr/bin:/bin" HOME="$work/home" \
  CLAUDE_CONFIG_DIR="$work/home/.claude" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$work/api/port")" \
  ANTHROPIC_API_KEY="$key" DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 IS_SANDBOX=1 "$@"); }
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
