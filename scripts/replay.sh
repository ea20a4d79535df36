#!/usr/bin/env bash
# Plays the recorded example session through `tallyhook hook` and shows what the ledger makes of it.
#
#   scripts/replay.sh [TALLYHOOK]      TALLYHOOK: the binary (default: tallyhook from PATH)
#
# Nothing of yours is touched: ledger and home are a temp folder.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tallyhook=${1:-tallyhook}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work TALLYHOOK_DB=$work/ledger.db
unset CLAUDE_PROJECT_DIR CLAUDE_CODE_SESSION_ID CLAUDE_CODE_ENTRYPOINT XDG_CONFIG_HOME
projects=$repo/examples/session/projects
session=
while IFS= read -r payload; do
  printf '%s\n' "${payload//@PROJECTS@/$projects}" | "$tallyhook" hook
  session=$(sed 's/.*"session_id":"\([^"]*\)".*/\1/' <<<"$payload")
done < "$repo/examples/session/payloads.jsonl"
"$tallyhook" show-usage --session "$session"
