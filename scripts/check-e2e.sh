#!/usr/bin/env bash
# Runs tallyhook under the real Claude Code (against a mock of its API) and compares every session's actual usage
# with the mock's own count, token for token.
#
#   scripts/check-e2e.sh HARNESS [OPTION…]     HARNESS: the folder with run.sh; options go to run.sh (-p: as a plugin)
#
# TALLYHOOK names the binary (default: target/release/tallyhook), CLAUDE_BIN an installed client.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
harness=${1:?usage: scripts/check-e2e.sh HARNESS [OPTION…]}
shift
tallyhook=$(realpath "${TALLYHOOK:-$repo/target/release/tallyhook}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TMPDIR=$work "$harness/run.sh" -n -o "$work/out" -e 'TALLYHOOK_DB=@WORK/ledger.db' "$@" "$tallyhook hook"
python3 - "$tallyhook" "$work" <<'PYTHON'
import glob, json, os, subprocess, sys

tallyhook, work = sys.argv[1:]
classes = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
sessions = wrong = 0
for path in sorted(glob.glob(work + "/out/*/expected.json")):
    scenario = os.path.basename(os.path.dirname(path))
    (ledger,) = glob.glob(f"{work}/*/w/{scenario}/ledger.db")
    faults = os.path.join(os.path.dirname(ledger), "hook-errors.log")
    if os.path.exists(faults):
        print(f"{scenario}: the hook has logged faults:\n{open(faults).read()}")
        wrong += 1
    for session, parts in json.load(open(path)).items():
        if not isinstance(parts, dict) or not ({"main", "subagent"} & set(parts)):
            continue
        # The compaction's own call stands in no line; the client's total, written at its exit, tells of it.
        known = [parts.get(kind, {}) for kind in ("main", "subagent", "compact")]
        want = [sum(part.get(name, 0) for part in known) for name in classes]
        report = json.loads(subprocess.run(
            [tallyhook, "--db", ledger, "show-usage", "--session", session, "--json"],
            capture_output=True, text=True, env={"HOME": work, "PATH": "/usr/bin:/bin"}).stdout)
        usage = (report["actual"] or {}).get("usage") or {}
        get = lambda *names: sum(usage.get(name, 0) for name in names)
        have = [get("input_tokens"), get("output_tokens"), get("cache_read_tokens"),
                get("cache_write_5m_tokens", "cache_write_1h_tokens")]
        sessions += 1
        wrong += have != want
        print(f"{scenario:16} {session[:8]}  {'equal' if have == want else f'WRONG: {have}, expected {want}'}  {sum(want):>9} tokens")
print(f"{sessions - wrong} passed, {wrong} failed")
sys.exit(wrong > 0 or sessions == 0)
PYTHON
