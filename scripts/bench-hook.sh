#!/usr/bin/env bash
# What the hook costs as a whole process, against /bin/true started in turn.
#
#   scripts/bench-hook.sh [-n RUNS] [-r ROWS] [TALLYHOOK ...]
#
# For each binary (without any: the one that scripts/build-release.sh makes): payloads of 1 KB to the Edit of a 3.8 MB
# file on an empty ledger; 10 KB on one with ROWS tool calls (1,000,000); the registered line against the same guard
# around /bin/true; Stop on a 20 MB transcript of which 30 KB are new, in a session of 50 subagents; the end of a batch
# with and without them; events with ten budgets beside none; 16 at once. Instructions are counted where valgrind is there.
# Needs cc and python3.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runs=200 rows=1000000
while getopts n:r:h option; do
  case $option in
    n) runs=$OPTARG ;;
    r) rows=$OPTARG ;;
    *) sed -n '2,10p' "$0"; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- "$("$repo/scripts/build-release.sh" | tail -n 1)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${CC:-cc} -O2 -o "$work/pairs" "$repo/scripts/bench-hook.c"
echo "$(uname -m), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), $runs pairs a line, medians"
python3 "$repo/scripts/bench-hook.py" "$work" "$runs" "$rows" "$@"
