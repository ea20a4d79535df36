"""Reads what check-budgets.sh has run: warnings, stops, and the requests that were answered after the cap."""
import glob, json, os, subprocess, sys

work, tallyhook = sys.argv[1:]
sys.path.insert(0, work + "/harness")
import scenarios  # noqa: E402

CLASSES = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
wrong = 0
for name, scenario in scenarios.S.items():
    out = f"{work}/out/{name}"
    if not os.path.exists(out + "/ledger.jsonl"):
        continue
    rows = [json.loads(line) for line in open(out + "/ledger.jsonl")]
    rows = [row for row in rows if row.get("usage")]
    used, after, limit = 0, 0, scenario["limit"]
    for row in sorted(rows, key=lambda row: row["t_ns"]):
        after += used >= limit
        used += sum(row["usage"].get(key) or 0 for key in CLASSES)
    streams = "".join(open(path).read() for path in sorted(glob.glob(out + "/stream-*.jsonl")))
    lines = [json.loads(line) for line in streams.splitlines()]
    results = [line for line in lines if line.get("type") == "result"]
    ledger = f"{work}/w/{name}/ledger.db"
    status = json.loads(subprocess.run([tallyhook, "--db", ledger, "budget", "status", "--json", "--session", rows[0]["session_id"]],
                                       capture_output=True, text=True, env={"HOME": work, "PATH": "/usr/bin:/bin", "TZ": "UTC"}).stdout)["budgets"]
    stopped = any(budget["stopped_at"] for budget in status)
    faults = os.path.join(os.path.dirname(ledger), "hook-errors.log")
    warned = streams.count("used this session")
    good = len(rows) <= scenario["most"] and not os.path.exists(faults)
    good &= stopped == (scenario["expect"] == "stopped")
    good &= warned <= 1 and (warned == 1 or scenario["expect"] != "warned")
    if scenario["expect"] != "lifted":
        good &= after == 0 or not scenario["stop"]
    wrong += not good
    past = f"{max(used - limit, 0):>7} tokens past the cap, {after} requests after it" if scenario["expect"] == "stopped" else ""
    print(f"{name:18} {'ok   ' if good else 'WRONG'} {len(rows)} requests, {used} of {limit} tokens, ledger "
          f"{[budget['used_tokens'] for budget in status]}, {warned} times warned, ends "
          f"{[result.get('terminal_reason') or result.get('subtype') for result in results]}  {past}")
    made = sorted(os.path.basename(path) for path in glob.glob(f"{work}/w/{name}/proj/*.made"))
    if name == "set-while-running":
        print(f"{'':18} the client {'keeps the settings it began with' if 'second.made' in made else 'takes changed settings'}: {made}")
    if os.path.exists(faults):
        print(open(faults).read())
sys.exit(wrong > 0)
