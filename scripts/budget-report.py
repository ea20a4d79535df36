"""Reads what check-budgets.sh has run: warnings, stops, and the requests that were sent after the cap was crossed."""
import glob, json, os, re, subprocess, sys

work, tallyhook = sys.argv[1:]
sys.path.insert(0, work + "/harness")
import scenarios  # noqa: E402

CLASSES = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]


def ask(ledger, *words):
    done = subprocess.run([tallyhook, "--db", ledger, *words, "--json"], capture_output=True, text=True,
                          env={"HOME": work, "PATH": "/usr/bin:/bin", "TZ": "UTC"})
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def said(out, text):
    """How often the user has read a text: in the stream, or on the screens, of which each shows the one before too."""
    streams = "".join(open(path).read() for path in sorted(glob.glob(out + "/stream-*.jsonl")))
    times = streams.count(text)
    for path in glob.glob(out + "/screens-*.txt"):
        # Without the line breaks of the screen, and the marks before continued lines.
        pages = [re.sub(r"[\s\u2500-\u257f]+", " ", page) for page in open(path).read().split("===== ")]
        times += max((page.count(text) for page in pages), default=0)
    return times


wrong = 0
for name, scenario in scenarios.S.items():
    out = f"{work}/out/{name}"
    if not os.path.exists(out + "/ledger.jsonl"):
        continue
    rows = [json.loads(line) for line in open(out + "/ledger.jsonl")]
    rows = [row for row in rows if row.get("usage") and row["kind"] != "side"]
    used, crossed, limit = 0, None, scenario["limit"]
    for row in sorted(rows, key=lambda row: row["t_end_ns"]):
        used += sum(row["usage"].get(key) or 0 for key in CLASSES)
        if crossed is None and used >= limit:
            crossed = row
    # What was sent before the answer that crosses the cap had come could not be known to come too late.
    others = [row for row in rows if crossed and row is not crossed and row["t_end_ns"] >= crossed["t_end_ns"]]
    after = sum(row["t_ns"] > crossed["t_end_ns"] for row in others)
    under_way = len(others) - after
    streams = "".join(open(path).read() for path in sorted(glob.glob(out + "/stream-*.jsonl")))
    lines = [json.loads(line) for line in streams.splitlines()]
    results = [line for line in lines if line.get("type") == "result"]
    ledger, session = f"{work}/w/{name}/data/ledger.db", rows[0]["session_id"]
    has_fault, expect = name in scenarios.FAULTS, scenario["expect"]
    status = [] if has_fault else ask(ledger, "budget", "status", "--session", session)["budgets"]
    stopped = any(budget["stopped_at"] for budget in status)
    faults = os.path.join(os.path.dirname(ledger), "hook-errors.log")
    warned = said(out, "%) used this session")
    bad = []
    if len(rows) > scenario["most"] or (expect == "untouched" and len(rows) < scenario["most"]):
        bad.append(f"{len(rows)} requests, at most {scenario['most']}")
    if os.path.exists(faults) and not has_fault:
        bad.append("the hook has logged faults:\n" + open(faults).read())
    if stopped != (expect == "stopped"):
        bad.append("stopped" if stopped else "not stopped")
    if warned > 1 or (warned == 0 and expect == "warned"):
        bad.append(f"warned {warned} times")
    if scenario["stop"] and expect in ("warned", "stopped"):
        for what, count, right in [("after the cap", after, scenario.get("after", 0)),
                                   ("under way at the cap", under_way, scenario.get("under_way", 0))]:
            if count != right:
                bad.append(f"{count} requests {what}, not {right}")
    if expect == "untouched" and any(result.get("subtype") != "success" for result in results):
        bad.append("it did not go on")
    for text, times in scenario.get("said", {}).items():
        if said(out, text) != times:
            bad.append(f"{text!r} was said {said(out, text)} times, not {times}")
    if "turns" in scenario:
        turns = ask(ledger, "show-usage", "--session", session)["session"]["turns"]
        if turns != scenario["turns"]:
            bad.append(f"{turns} turns, not {scenario['turns']}")
    wrong += bool(bad)
    past = f"{max(used - limit, 0):>6} tokens past the cap, {after} requests after it, {under_way} under way" if expect == "stopped" else ""
    print(f"{name:20} {'WRONG' if bad else 'ok   '} {len(rows)} requests, {used} of {limit} tokens, ledger "
          f"{[budget['used_tokens'] for budget in status]}, {warned} times warned, ends "
          f"{[result.get('terminal_reason') or result.get('subtype') for result in results]}  {past}")
    for what in bad:
        print(f"{'':20} {what}")
    made = sorted(os.path.basename(path) for path in glob.glob(f"{work}/w/{name}/proj/*.made"))
    if name == "set-while-running":
        print(f"{'':20} the client {'keeps the settings it began with' if 'second.made' in made else 'takes changed settings'}: {made}")
sys.exit(wrong > 0)
