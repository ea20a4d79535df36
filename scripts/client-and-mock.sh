# Sourced by checks that need the real client in front of a mock of its API. Wants $1 to be the folder with mock_api.py,
# CLAUDE_BIN an installed client and TALLYHOOK our binary (default: target/release/tallyhook).
#
# Makes $work with a home, a project and a copy of the binary in $work/bin, starts the mock, which calls Bash once and then
# answers "Done.", and leaves `run`, which runs a command in the project with the client's environment and nothing else.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
harness=$(realpath "${1:?the first argument must be the folder with mock_api.py}")
claude=$(realpath "${CLAUDE_BIN:?CLAUDE_BIN must name an installed client}")
built=$(realpath "${TALLYHOOK:-$repo/target/release/tallyhook}")
work=$(mktemp -d)
mock=
# A check that starts more than that replaces it.
clean_up() {
  kill $mock 2>/dev/null || true
  # A client that was ended with its terminal writes on for a moment.
  for _ in 1 2 3 4 5; do rm -rf "$work" 2>/dev/null && return; sleep 1; done
  rm -rf "$work"
}
trap clean_up EXIT
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
echo '{"hasCompletedOnboarding": true, "bypassPermissionsModeAccepted": true, "theme": "dark",
  "customApiKeyResponses": {"approved": ["'"${key: -20}"'"], "rejected": []},
  "projects": {"'"$work/proj"'": {"hasTrustDialogAccepted": true}}}' > "$work/home/.claude/.claude.json"
run() { (cd "$work/proj" && env -i PATH="$(dirname "$claude"):/usr/bin:/bin" HOME="$work/home" TERM=xterm-256color \
  CLAUDE_CONFIG_DIR="$work/home/.claude" ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$work/api/port")" \
  ANTHROPIC_API_KEY="$key" DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 IS_SANDBOX=1 "$@"); }
