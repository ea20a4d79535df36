"""The measurements of bench-hook.sh: makes payloads, ledgers and a transcript, starts the pairs, prints medians."""

import json, os, re, shutil, sqlite3, statistics, subprocess, sys, time

work, runs, rows, binaries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
SESSION = "00000000-0000-4000-8000-000000000001"
os.environ.update(HOME=work, XDG_CONFIG_HOME=work + "/config", TALLYHOOK_DB=work + "/empty.db")


def write(name, text):
    with open(os.path.join(work, name), "w") as file:
        file.write(text)
    return os.path.join(work, name)


def code(size):
    lines, line = [], 0
    while size > 0:
        line += 1
        text = f"    let value_{line} = compute(&input[{line}..], config.max_depth)?; // keep the order stable\n"
        lines.append(text)
        size -= len(text)
    return "".join(lines)


def payload(name, tool, tool_input, response, **more):
    return write(name, json.dumps({
        "session_id": SESSION, "transcript_path": work + "/none.jsonl", "cwd": work, "prompt_id": "p1",
        "permission_mode": "default", "hook_event_name": "PostToolUse", "tool_name": tool,
        "tool_use_id": "toolu_{{N}}", "tool_input": tool_input, "tool_response": response, "duration_ms": 12, **more}))


def read_of(name, size):
    text = code(size)
    return payload(name, "Read", {"file_path": work + "/a.rs"}, {"type": "text", "file": {
        "filePath": work + "/a.rs", "content": text, "numLines": text.count("\n"), "startLine": 1,
        "totalLines": text.count("\n")}})


whole = code(3_790_000)
PAYLOADS = [("1 KB", read_of("1k.json", 600)), ("10 KB", read_of("10k.json", 9_400)),
            ("100 KB", read_of("100k.json", 98_000)), ("1 MB", read_of("1m.json", 990_000)),
            ("Edit of 3.8 MB", payload("edit.json", "Edit",
                {"file_path": work + "/a.rs", "old_string": "let value_7 =", "new_string": "let seventh ="},
                {"filePath": work + "/a.rs", "oldString": "let value_7 =", "newString": "let seventh =",
                 "originalFile": whole, "structuredPatch": [{"oldStart": 7, "oldLines": 1, "newStart": 7,
                 "newLines": 1, "lines": ["-    let value_7 = 1", "+    let seventh = 1"]}], "userModified": False}))]


class Pairs:
    """Starts of two programs in turn, the first of them the floor."""

    def __init__(self, first, second, stdin, ledger=None, grow=None, count=runs):
        env = dict(os.environ, **({"TALLYHOOK_DB": ledger} if ledger else {}))
        command = [work + "/pairs", str(count), stdin, *(["-a", *grow] if grow else []), "--", *first, "--", *second]
        lines = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        pairs = [[float(word) for word in line.split()] for line in lines.split("--\n")[1].splitlines()]
        self.floor, self.own = [p[0] for p in pairs], [p[5] for p in pairs]
        self.over = sorted(p[5] - p[0] for p in pairs)
        self.cpu_over = statistics.median(p[6] - p[1] for p in pairs)
        self.kb, self.faults = max(p[7] for p in pairs), statistics.median(p[8] for p in pairs)
        self.failures = sum(p[4] != 0 or p[9] != 0 for p in pairs)

    def p50(self):
        return statistics.median(self.over)

    def show(self, name, more=""):
        print(f"  {name:34} floor {statistics.median(self.floor):6.2f} ms   over it: p50 {self.p50():+7.2f}   "
              f"p95 {self.over[int(len(self.over) * .95)]:+7.2f}   cpu {self.cpu_over:+6.2f} ms   "
              f"{self.kb / 1024:5.1f} MB   {self.faults:5.0f} faults{more}"
              + (f"   {self.failures} FAILED" if self.failures else ""))


def instructions(command, stdin, ledger):
    if not shutil.which("valgrind"):
        return ""
    with open(stdin) as file:
        text = file.read().replace("{{N}}", f"valgrind_{time.monotonic_ns()}")
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command], input=text,
                          env=dict(os.environ, TALLYHOOK_DB=ledger), capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    return f"   {int(found[1]) / 1e6:.2f} M instructions" if found else ""


def count(ledger):
    with sqlite3.connect(ledger) as conn:
        return conn.execute("SELECT count(*) FROM tool_calls").fetchone()[0]


def fill(ledger, hook):
    """A ledger with many calls in 2,000 sessions; made by the hook, so that it has its own schema."""
    with open(PAYLOADS[0][1]) as stdin:
        subprocess.run(hook, stdin=stdin, env=dict(os.environ, TALLYHOOK_DB=ledger), check=True)
    conn = sqlite3.connect(ledger)
    columns = [row[1] for row in conn.execute("PRAGMA table_info(tool_calls)") if row[1] != "id"]
    sample = dict(zip(columns, conn.execute(f"SELECT {','.join(columns)} FROM tool_calls").fetchone()))
    conn.executemany("INSERT INTO sessions (session_id, client, project, last_seen_at) VALUES (?, 'claude-code', ?, ?)",
                     ((f"session-{n}", f"/project/{n % 25}", n) for n in range(2_000)))
    first = conn.execute("SELECT min(id) FROM sessions WHERE session_id LIKE 'session-%'").fetchone()[0]
    marks = ",".join("?" * len(columns))
    conn.executemany(f"INSERT INTO tool_calls ({','.join(columns)}) VALUES ({marks})",
                     (list({**sample, "session": first + n * 2_000 // rows, "tool_use_id": f"toolu_01{n:022}"}.values())
                      for n in range(rows)))
    conn.commit()
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()


def response_lines(number, size):
    """An answer and a long result, as the client's transcript has them."""
    head = f'"parentUuid":null,"isSidechain":false,"cwd":"{work}","sessionId":"{SESSION}","version":"2.1.330","gitBranch":"main"'
    usage = '{"input_tokens":3,"cache_creation_input_tokens":812,"cache_read_input_tokens":24000,"output_tokens":210}'
    for part in range(3):
        yield (f'{{{head},"type":"assistant","uuid":"u{number}-{part}","timestamp":"2026-11-20T10:00:00.000Z","requestId":"r{number}-{part}",'
               f'"message":{{"id":"msg_{number}_{part}","model":"claude-opus-5-5","role":"assistant","content":[{{"type":"text","text":"done"}}],'
               f'"stop_reason":"end_turn","usage":{usage}}}}}\n') if part == 2 else (
               f'{{{head},"type":"user","uuid":"v{number}-{part}","timestamp":"2026-11-20T10:00:00.000Z","message":{{"role":"user",'
               f'"content":[{{"type":"tool_result","tool_use_id":"toolu_{number}_{part}","content":{json.dumps(code(size // 2))}}}]}}}}\n')


def stop(hook, ledger):
    transcript = f"{work}/{SESSION}.jsonl"
    with open(transcript, "w") as file:
        for number in range(700):
            file.writelines(response_lines(number, 28_000))
    agents = f"{work}/{SESSION}/subagents"
    os.makedirs(agents, exist_ok=True)
    for number in range(50):
        with open(f"{agents}/agent-a{number:07x}.jsonl", "w") as file:
            file.writelines(line.replace('"isSidechain":false', f'"isSidechain":true,"agentId":"a{number:07x}"')
                            for line in response_lines(f"agent{number}", 4_000))
        write(f"{SESSION}/subagents/agent-a{number:07x}.meta.json", '{"agentType":"Explore"}')
    stdin = write("stop.json", json.dumps({"session_id": SESSION, "transcript_path": transcript, "cwd": work,
                  "hook_event_name": "Stop", "stop_hook_active": False}))
    chunk = write("chunk.jsonl", "".join(response_lines("{{N}}", 28_000)))
    with open(stdin) as file:
        subprocess.run(hook, stdin=file, env=dict(os.environ, TALLYHOOK_DB=ledger), check=True)
    megabytes = os.path.getsize(transcript) / 1e6
    pairs = Pairs(["/bin/true"], hook, stdin, ledger, grow=(transcript, chunk), count=max(runs // 2, 20))
    pairs.show(f"Stop, {os.path.getsize(chunk) / 1e3:.0f} KB new of {megabytes:.0f} MB")


def event(name, kind, **more):
    return write(name, json.dumps({
        "session_id": SESSION, "transcript_path": f"{work}/{SESSION}.jsonl", "cwd": work, "prompt_id": "p1",
        "hook_event_name": kind, **more}))


def batches(hook, number):
    """The end of a batch with and without something new in the transcript, and all events with ten budgets beside none."""
    ledgers = [f"{work}/none{number}.db", f"{work}/ten{number}.db"]
    transcript, chunk = f"{work}/{SESSION}.jsonl", f"{work}/chunk.jsonl"
    start = event("start.json", "SessionStart")
    for ledger in ledgers:
        for stdin in start, f"{work}/stop.json":
            with open(stdin) as file:
                subprocess.run(hook, stdin=file, env=dict(os.environ, TALLYHOOK_DB=ledger), check=True)
    for per in "session", "day", "week", "month", "total":
        for far_away in ["9000000"], ["1000000000000", "--tokens"]:
            subprocess.run([hook[0], "--db", ledgers[1], "budget", "set", *far_away, "--per", per, "--stop"], cwd=work,
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    call = {"tool_name": "Bash", "tool_use_id": "toolu_{{N}}", "tool_input": {"command": "ls"}}
    done = event("batch.json", "PostToolBatch", tool_calls=[dict(call, tool_response="x" * 2_000)])
    Pairs(["/bin/true"], hook, done, ledgers[0]).show("PostToolBatch, nothing new")
    Pairs(["/bin/true"], hook, done, ledgers[0], grow=(transcript, chunk)).show(
        f"PostToolBatch, {os.path.getsize(chunk) / 1e3:.0f} KB new")
    answered = event("batch-known.json", "PostToolBatch", tool_calls=[])
    starts = [event(f"agent{at}.json", "SubagentStart", agent_id=f"a{at:07x}", agent_type="Explore") for at in range(4)]
    for name, stdin, grow in [
            ("PreToolUse", event("ask.json", "PreToolUse", **call), None),
            ("PostToolUse", event("done.json", "PostToolUse", **call, tool_response={"stdout": "x" * 2_000}), None),
            ("UserPromptSubmit", event("prompt.json", "UserPromptSubmit", prompt="Do it", prompt_id="p{{N}}"), None),
            ("PostToolBatch", answered, None), ("PostToolBatch, 30 KB new", answered, (transcript, chunk)),
            ("PostToolBatch, 4 subagents", answered, starts)]:
        if grow is starts:
            for ledger, start in [(ledger, start) for ledger in ledgers for start in starts]:
                with open(start) as file:
                    subprocess.run(hook, stdin=file, env=dict(os.environ, TALLYHOOK_DB=ledger), check=True)
            grow = None
        none, ten = (["/usr/bin/env", f"TALLYHOOK_DB={ledger}", *hook] for ledger in ledgers)
        pairs = Pairs(none, ten, stdin, grow=grow)
        print(f"  {name:28} with ten budgets {pairs.p50():+.2f} ms (p50), cpu {pairs.cpu_over:+.2f} ms"
              + (f"   {pairs.failures} FAILED" if pairs.failures else ""))


def at_once(hook, ledger, processes=16, rounds=10):
    before, walls, failures = count(ledger), [], 0
    for number in range(rounds):
        stdins = []
        for process in range(processes):
            with open(PAYLOADS[1][1]) as file:
                stdins.append(write(f"at-once-{process}.json", file.read().replace("{{N}}", f"at_once_{number}_{process}")))
        start = time.perf_counter()
        children = [subprocess.Popen(hook, stdin=open(stdin), env=dict(os.environ, TALLYHOOK_DB=ledger)) for stdin in stdins]
        failures += sum(child.wait() != 0 for child in children)
        walls.append((time.perf_counter() - start) * 1e3)
    added = count(ledger) - before
    print(f"  {processes} at once, {rounds} rounds: a round p50 {statistics.median(walls):.1f} ms, max {max(walls):.1f}; "
          f"{failures} failures, {added} of {processes * rounds} rows")


big = work + "/big.db"
fill(big, [binaries[0], "hook"])
for number, built in enumerate(binaries):
    # As it is installed: copied. What the linker leaves behind starts more slowly (see build-release.sh).
    binary = shutil.copy(built, f"{work}/tallyhook{number}")
    hook, ledger = [binary, "hook"], f"{work}/empty{number}.db"
    print(f"{os.path.relpath(built)} ({os.path.getsize(binary) / 1e6:.1f} MB)")
    for name, stdin in PAYLOADS:
        quick = Pairs(["/bin/true"], hook, stdin, ledger, count=runs if os.path.getsize(stdin) < 500_000 else max(runs // 4, 10))
        quick.show(name, instructions(hook, stdin, ledger))
    ten = PAYLOADS[1][1]
    beside = Pairs(["/usr/bin/env", f"TALLYHOOK_DB={ledger}", *hook], ["/usr/bin/env", f"TALLYHOOK_DB={big}", *hook], ten)
    print(f"  10 KB on {rows:,} rows: {statistics.median(beside.own):.2f} ms against {statistics.median(beside.floor):.2f} "
          f"on the small ledger, {statistics.median(beside.own) / statistics.median(beside.floor):.2f} x")
    def guard(program):
        # As src/hook/manifest.rs has it.
        return ["/bin/sh", "-c", "trap 'exit 0' 0; [ $BASH_VERSION ] && shopt -s execfail; "
                f'exec "{program[0]}" {" ".join(program[1:])} 2>/dev/null; exit 0']
    Pairs(guard(["/bin/true"]), guard(hook), ten, ledger).show("10 KB, registered line")
    stop(hook, f"{work}/stop{number}.db")
    batches(hook, number)
    at_once(hook, ledger)
