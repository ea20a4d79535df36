#!/usr/bin/env bash
# How long the reports take on a large ledger, as whole processes.
#
#   scripts/bench-reports.sh [-n RUNS] [-c CALLS] [-r RESPONSES] [-s SESSIONS] [-l LEDGER] [TALLYHOOK ...]
#
# Makes a ledger of 2,000 sessions in 300 days with 1,000,000 tool calls and 500,000 responses, and prints the median of
# each report beside that of /bin/true, and what the status line takes over /bin/true started in turn. With -l a copy of
# that ledger is used, such as one made by `tallyhook import --path` of the 2,000 MB that the generator of bench-import.sh
# writes. Needs python3.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runs=21 calls=1000000 responses=500000 sessions=2000 ledger=
while getopts n:c:r:s:l:h option; do
  case $option in
    n) runs=$OPTARG ;;
    c) calls=$OPTARG ;;
    r) responses=$OPTARG ;;
    s) sessions=$OPTARG ;;
    l) ledger=$OPTARG ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
if [ $# -eq 0 ]; then
  (cd "$repo" && cargo build --release --locked)
  set -- "${CARGO_TARGET_DIR:-$repo/target}/release/tallyhook"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$repo/scripts/bench-reports.py" "$work" "$runs" "$calls" "$responses" "$sessions" "$ledger" "$@"
