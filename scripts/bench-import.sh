#!/usr/bin/env bash
# What an import of many transcripts costs, and whether it is right.
#
#   scripts/bench-import.sh [-m MEGABYTES]... [TALLYHOOK]
#
# Makes a tree of transcripts whose totals are known (crates/testdata) for each size, 500 MB unless told. Prints CPU and
# wall time and memory of a first import and of one with nothing new, beside `wc -l` over the same files, and the
# difference to the true totals, in tokens and cents. Builds the release of what is missing. Needs python3.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$repo/target}
sizes=()
while getopts m: option; do
  case $option in
    m) sizes+=("$OPTARG") ;;
    *) sed -n '2,8p' "$0"; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ ${#sizes[@]} -gt 0 ] || sizes=(500)
(cd "$repo" && cargo build --release --locked -p tallyhook-testdata)
[ $# -gt 0 ] || (cd "$repo" && cargo build --release --locked -p tallyhook)
tallyhook=$(realpath "${1:-$target/release/tallyhook}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "$(uname -m), $(getconf _NPROCESSORS_ONLN) cores, load $(uptime | sed 's/.*load averages*: //'), best of three"
for size in "${sizes[@]}"; do
  "$target/release/tallyhook-testdata" "$work/tree" --megabytes "$size"
  python3 - "$tallyhook" "$work" "$size" <<'PYTHON'
import glob, json, os, resource, subprocess, sys, time
from decimal import Decimal

tallyhook, work, size = sys.argv[1:]
tree = work + "/tree/projects"
os.environ.update(HOME=work, TALLYHOOK_DB=work + "/ledger.db", XDG_CONFIG_HOME=work)
# Linux counts memory in kilobytes, macOS in bytes.
UNIT = 1024 * 1024 if sys.platform == "darwin" else 1024


def run(name, command, reset):
    """Runs three times; the fastest. Memory is the children's peak so far, so the smaller ones come first."""
    best = None
    for _ in range(3):
        if reset:
            for file in glob.glob(work + "/ledger.db*"):
                os.remove(file)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best or (cpu, wall), (cpu, wall))
    print(f"{size} MB  {name:28} {best[0]:6.2f} CPU s   {best[1]:6.2f} s   at most {after.ru_maxrss / UNIT:5.1f} MB")


run("wc -l", ["sh", "-c", f"find {tree} -name '*.jsonl' -print0 | xargs -0 cat | wc -l"], False)
run("first import", [tallyhook, "import", "--path", tree], True)
run("nothing new", [tallyhook, "import", "--path", tree], False)
truth = json.load(open(work + "/tree/truth.json"))["total"]
report = subprocess.run([tallyhook, "cost", "--by", "month", "--json"], check=True, capture_output=True).stdout
cost = json.loads(report, parse_float=Decimal)["total"]
different = {name: count - truth[name] for name, count in cost["usage"].items() if count != truth[name]}
if cost["responses"] != truth["responses"]:
    different["responses"] = cost["responses"] - truth["responses"]
cents = (cost["cost_usd"] - Decimal(truth["cost_pico_usd"]).scaleb(-12)) * 100
print(f"{size} MB  {cost['responses']:,} responses, ${cost['cost_usd']:.2f}; different tokens: {different or 'none'}, "
      f"cents: {cents.normalize():f}")
sys.exit(bool(different or cents))
PYTHON
  rm -rf "$work/tree"
done
