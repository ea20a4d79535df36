#!/usr/bin/env bash
# Imports folders of Claude Code's transcripts, each into a ledger of its own, and compares every total with an
# independent count (count-independent.py): responses, tokens by class, hidden calls and pico-dollars, for the whole and
# by session, model and day.
#
#   scripts/check-counts.sh [FOLDER…]
#
# Without a folder: the example session, the captured scenarios, and a generated tree of 30 MB. A folder can be one of
# yours, for instance ~/.claude/projects. Where a truth.json lies beside a folder (crates/testdata) the totals are also
# compared with it.
#
# TALLYHOOK names the binary (without it, the release is built). Nothing of yours is touched: ledger and home are a temp
# folder. Exits with 1 if anything differs. Needs python3, 3.11 or later.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$repo/target}
[ -n "${TALLYHOOK:-}" ] || (cd "$repo" && cargo build --release --locked -p tallyhook)
tallyhook=$(realpath "${TALLYHOOK:-$target/release/tallyhook}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -eq 0 ]; then
  (cd "$repo" && cargo build --release --locked -p tallyhook-testdata)
  "$target/release/tallyhook-testdata" "$work/generated" --megabytes 30
  set -- "$repo/examples/session/projects" "$repo/tests/fixtures/claude-code" "$work/generated/projects"
fi
python3 - "$repo/scripts/count-independent.py" "$tallyhook" "$work" "$@" <<'PYTHON'
import importlib.util, json, os, subprocess, sys
from collections import defaultdict
from decimal import Decimal

script, tallyhook, work, *folders = sys.argv[1:]
spec = importlib.util.spec_from_file_location("count_independent", script)
independent = sys.modules["count_independent"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(independent)
CLASSES = independent.Usage._fields
NO_DATA = 4


def tallied(ledger, *args):
    command = [tallyhook, "--db", ledger, *args, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, env={"HOME": work, "PATH": "/usr/bin:/bin"})
    if ran.returncode not in (0, NO_DATA):
        sys.exit(f"{' '.join(args)}: exit code {ran.returncode}\n{ran.stderr}")
    return json.loads(ran.stdout, parse_float=Decimal)


def figures(row):
    """Responses, the classes and pico-dollars of a row of `cost --json`."""
    return [row["responses"], *(row["usage"][kind] for kind in CLASSES), int((row["cost_usd"] or 0) * 10**12)]


def expected(part):
    return [part["responses"], *part["usage"].values(), part["cost_pico_usd"]]


def true(part):
    """Responses, the classes and pico-dollars of a part of a truth.json."""
    return [part["responses"], *(part[kind] for kind in CLASSES), part["cost_pico_usd"]]


def added(rows):
    """Rows by key, those of one key added up; what used nothing is left out."""
    sums = defaultdict(lambda: [0] * (len(CLASSES) + 2))
    for key, row in rows:
        sums[key] = [a + b for a, b in zip(sums[key], row)]
    return {key: row for key, row in sums.items() if any(row)}


def differences(folder, ledger):
    imported = tallied(ledger, "import", "--path", folder)
    sums, _ = independent.count_paths([folder])
    by_kind = {kind: tallied(ledger, "cost", "--by", kind, "--tz", "UTC") for kind in ("session", "model", "day", "agent")}
    found = {"total": figures(by_kind["session"]["total"]),
             "hidden": added((row["key"], figures(row)) for row in by_kind["agent"]["rows"]).get("(hidden)")}
    wanted = {"total": expected(sums["total"]), "hidden": expected(sums["hidden"])}
    found["hidden"] = found["hidden"] or [0] * len(wanted["hidden"])
    for kind in ("session", "model", "day"):
        name = independent.model_name if kind == "model" else str
        have = added((name(row["key"]), figures(row)) for row in by_kind[kind]["rows"])
        want = added((key, expected(part)) for key, part in sums[f"by_{kind}"].items())
        for key in sorted(have.keys() | want.keys()):
            none = [0] * (len(CLASSES) + 2)
            found[f"{kind} {key}"], wanted[f"{kind} {key}"] = have.get(key, none), want.get(key, none)
    wrong = []
    for what in wanted:
        for kind, have, want in zip(("responses", *CLASSES, "pico-dollars"), found[what], wanted[what]):
            if have != want:
                wrong.append(f"{what}: {kind} {have:,}, counted {want:,} ({have - want:+,})")
    for what, have, want in (("files", imported["files"], sums["files"]), ("lines", imported["lines"], sums["lines"])):
        if have != want:
            wrong.append(f"import: {what} {have:,}, counted {want:,} ({have - want:+,})")
    truth = os.path.join(os.path.dirname(folder), "truth.json")
    if os.path.exists(truth):
        with open(truth) as file:
            made = json.load(file)
        for by in ("session", "model", "day"):
            name = independent.model_name if by == "model" else str
            want = added((name(key), true(part["all"] if by == "session" else part)) for key, part in made[f"by_{by}"].items())
            have = added((name(row["key"]), figures(row)) for row in by_kind[by]["rows"])
            for key in sorted(have.keys() | want.keys()):
                if have.get(key) != want.get(key):
                    wrong.append(f"{by} {key}: {have.get(key)}, in truth {want.get(key)}")
    return sums, wrong


total = 0
for number, folder in enumerate(folders):
    sums, wrong = differences(os.path.realpath(folder), f"{work}/{number}/ledger.db")
    usage, hidden = sums["total"]["usage"], sum(list(sums["hidden"]["usage"].values())[:-1])
    print(f"{folder}: {sums['files']:,} files, {sums['total']['responses']:,} responses, "
          f"{sum(list(usage.values())[:-1]):,} tokens, {hidden:,} of them hidden, "
          f"${Decimal(sums['total']['cost_pico_usd']) / 10**12:f}: {f'{len(wrong)} DIFFERENCES' if wrong else 'equal'}")
    for line in wrong[:20]:
        print(f"  {line}")
    total += len(wrong)
print(f"{len(folders)} folders, {total} differences")
sys.exit(total > 0)
PYTHON
