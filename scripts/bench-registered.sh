#!/usr/bin/env bash
# What the registered line costs, as the client runs it (/bin/sh -c), against the same guard around /bin/true.
#
#   scripts/bench-registered.sh [TALLYHOOK] [RUNS]
#
# The two are started in turn; the median of each and of the differences is printed.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tallyhook=$(realpath "${1:-$repo/target/release/tallyhook}")
runs=${2:-100}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$tallyhook" "$runs" "$work" "$repo/examples/payloads/PostToolUse.Bash.json" <<'PYTHON'
import statistics, subprocess, sys, time

tallyhook, runs, work, payload = sys.argv[1], int(sys.argv[2]), sys.argv[3], open(sys.argv[4]).read()
env = {"HOME": work, "TALLYHOOK_DB": work + "/ledger.db", "PATH": "/usr/bin:/bin"}

def once(program, arguments, number):
    line = f'[ -x "{program}" ] || exit 0; exec "{program}"{arguments}'
    stdin = payload.replace("toolu_", f"toolu_{number}_").encode()
    start = time.perf_counter()
    subprocess.run(["/bin/sh", "-c", line], input=stdin, env=env, check=True)
    return (time.perf_counter() - start) * 1000

pairs = [(once("/bin/true", "", n), once(tallyhook, " hook", n)) for n in range(runs + 3)][3:]
for name, times in (("guard around /bin/true", [a for a, _ in pairs]), ("registered line", [b for _, b in pairs]),
                    ("difference", [b - a for a, b in pairs])):
    print(f"{name:24} median {statistics.median(times):8.2f} ms   p95 {sorted(times)[int(runs * .95)]:8.2f} ms")
PYTHON
