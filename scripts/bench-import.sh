#!/usr/bin/env bash
# What an import of many transcripts costs, and whether it is right.
#
#   scripts/bench-import.sh GENERATOR [-m MEGABYTES]... [TALLYHOOK]
#
# GENERATOR makes a tree of transcripts and its exact totals (gen_corpus.py of the shared bench folder). For each size
# (500 MB unless told) it prints CPU and wall time and memory of a first import and of one with nothing new, beside
# `wc -l` over the same files, and the difference to the exact totals, in tokens and cents. Needs python3.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
generator=$(realpath "${1:?usage: scripts/bench-import.sh GENERATOR [-m MEGABYTES]... [TALLYHOOK]}")
shift
sizes=()
while getopts m: option; do
  case $option in
    m) sizes+=("$OPTARG") ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ ${#sizes[@]} -gt 0 ] || sizes=(500)
tallyhook=$(realpath "${1:-$repo/target/release/tallyhook}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "$(uname -m), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), best of three"
for size in "${sizes[@]}"; do
  python3 "$generator" --out "$work/tree" --size-mb "$size" --projects 40 >/dev/null
  python3 - "$tallyhook" "$work" "$size" <<'PYTHON'
import glob, json, os, resource, subprocess, sys, time
from decimal import Decimal

tallyhook, work, size = sys.argv[1:]
tree = work + "/tree/.claude/projects"
os.environ.update(HOME=work, TALLYHOOK_DB=work + "/ledger.db", XDG_CONFIG_HOME=work)


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
        best = min(best or (cpu, wall, 0), (cpu, wall, after.ru_maxrss / 1024))
    print(f"{size} MB  {name:28} {best[0]:6.2f} CPU s   {best[1]:6.2f} s   at most {after.ru_maxrss / 1024:5.1f} MB")


run("wc -l", ["sh", "-c", f"find {tree} -name '*.jsonl' -print0 | xargs -0 cat | wc -l"], False)
run("first import", [tallyhook, "import", "--path", tree], True)
run("nothing new", [tallyhook, "import", "--path", tree], False)
truth = json.load(open(work + "/tree/truth.json"))["total"]
cost = json.loads(subprocess.run([tallyhook, "cost", "--by", "month", "--json"], check=True, capture_output=True).stdout,
                  parse_float=Decimal)["total"]
classes = {"input": "input_tokens", "output": "output_tokens", "cache_read": "cache_read_tokens",
           "cache_5m": "cache_write_5m_tokens", "cache_1h": "cache_write_1h_tokens"}
tokens = {name: cost["usage"][ours] - truth[name] for name, ours in classes.items() if cost["usage"][ours] != truth[name]}
cents = round((cost["cost_usd"] - Decimal(str(truth["cost_usd"]))) * 100)
print(f"{size} MB  {cost['responses']} responses, ${cost['cost_usd']:.2f}; different tokens: {tokens or 'none'}, cents: {cents}")
PYTHON
  rm -rf "$work/tree"
done
