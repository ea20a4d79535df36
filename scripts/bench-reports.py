"""The measurements of bench-reports.sh: fills a ledger that the binary has made, runs the reports, prints medians."""

import json, os, random, shutil, sqlite3, statistics, subprocess, sys, time

work, runs, calls, responses, sessions, given, binaries = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6], sys.argv[7:]
DAYS, QUARTER = 300, 900_000
NOW = int(time.time() * 1000)
MODELS = [("claude-opus-5-5", 70), ("claude-haiku-5-5", 20), ("claude-sonnet-5-5", 9), ("house-model", 1)]
TYPES = ["Explore", "general-purpose", "Plan", "code-reviewer", None]
ledger = work + "/ledger.db"
env = {"HOME": work, "TALLYHOOK_DB": ledger, "PATH": "/usr/bin:/bin", "TZ": "UTC"}


def make():
    start = {"hook_event_name": "SessionStart", "session_id": "first", "cwd": work, "source": "startup"}
    subprocess.run([binaries[0], "hook"], input=json.dumps(start), text=True, env=env, check=True)
    chance = random.Random(20261122)
    db = sqlite3.connect(ledger)
    db.execute("PRAGMA synchronous = OFF")
    rows = {"sessions": [], "responses": [], "calls": [], "runs": [], "prompts": [], "files": [], "contexts": []}
    for number in range(2, sessions + 2):
        began = NOW - chance.randrange(DAYS * 86_400_000)
        length = chance.randrange(1, 8) * 3_600_000
        id = "%08x-0000-4000-8000-%012x" % (chance.getrandbits(32), number)
        rows["sessions"].append((number, id, "claude-code" if number % 9 else "codex", f"{work}/project-{number % 40}",
                                 "main" if number % 3 else f"topic/{number % 200}", f"session of topic {number}",
                                 began, began + length, began + length, began + length, began + length))
        runs = [None] * 10 + [f"run{number}x{run}" for run in range(chance.randrange(12))]
        spans = {run: (began + chance.randrange(length), 1_500_000) for run in runs if run}
        rows["runs"] += [(number, run, chance.choice(TYPES), first, first + span) for run, (first, span) in spans.items()]
        spans[None] = (began, length)
        answers, made = {run: [] for run in spans}, {run: [] for run in spans}
        for answer in range(responses // sessions):
            agent = chance.choice(runs)
            first, span = spans[agent]
            (model,) = chance.choices([name for name, _ in MODELS], [weight for _, weight in MODELS])
            rows["responses"].append((f"msg_{number}_{answer}", number, agent, first + chance.randrange(span), model,
                                      chance.randrange(200), chance.randrange(4_000), chance.randrange(200_000),
                                      chance.randrange(20_000), chance.randrange(9_000), "main"))
            answers[agent].append((rows["responses"][-1][3], rows["responses"][-1][0]))
        for call in range(calls // sessions):
            agent = chance.choice(runs)
            rows["calls"].append((number, f"toolu_{number}_{call}", chance.choice(["Bash", "Read", "Edit", "Grep"]),
                                  agent, began + chance.randrange(length), chance.randrange(300),
                                  chance.randrange(3_000)))
            made[agent].append(rows["calls"][-1])
        # A turn takes twenty responses. Hooks of old clients told of some turns, and no transcript of these.
        rows["prompts"] += [(number, None if turn % 10 == 0 else f"u{number}x{turn}", f"p{number}x{turn}",
                             began + turn * length // max(1, responses // sessions // 20))
                            for turn in range(responses // sessions // 20)]
        for agent in spans:
            path = f"{work}/{id}.jsonl" if agent is None else f"{work}/{id}/subagents/agent-{agent}.jsonl"
            rows["files"].append((path, number, agent))
            rows["contexts"].append((path, json.dumps(context(sorted(answers[agent]), made[agent]), separators=(",", ":"))))
    db.executemany(
        "INSERT INTO sessions (id, session_id, client, project, git_branch, topic, log_first_at, log_last_at, last_seen_at,"
        " ended_at, finalized_at) VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows["sessions"])
    db.executemany("INSERT INTO agent_runs (session, agent_id, agent_type, log_first_at, log_last_at) VALUES (?,?,?,?,?)", rows["runs"])
    db.executemany(
        "INSERT INTO responses (message_id, session, agent_id, copied, source, at, model, input_tokens, output_tokens,"
        " cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, web_searches, complete, branch)"
        " VALUES (?,?,?,0,0,?,?,?,?,?,?,?,0,1,?)", rows["responses"])
    db.executemany(
        "INSERT INTO tool_calls (session, tool_use_id, tool, agent_id, at, ok, generated_tokens, generated_method,"
        " returned_tokens, returned_method, refined, input_bytes, response_bytes, action_type)"
        " VALUES (?,?,?,?,?,1,?,'cl100k',?,'cl100k',1,10,100,'manual')", rows["calls"])
    db.executemany("INSERT INTO prompts (session, uuid, prompt_id, at) VALUES (?,?,?,?)", rows["prompts"])
    db.executemany("INSERT INTO transcripts (path, session, agent_id, offset, size, fingerprint, answered, skipped_lines)"
                   " VALUES (?,?,?,1000,1000,0,1,0)", rows["files"])
    db.executemany("INSERT INTO context_parts VALUES (?, 0, 1000, ?)", rows["contexts"])
    db.execute(
        "INSERT INTO usage_buckets SELECT at / ?1, session, coalesce(agent_id, ''), model, branch, model != 'house-model', count(*),"
        " sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),"
        " sum(cache_write_1h_tokens), sum(web_searches),"
        " sum(input_tokens * 5000000 * (model != 'house-model')), sum(output_tokens * 25000000 * (model != 'house-model')),"
        " sum(cache_read_tokens * 500000 * (model != 'house-model')),"
        " sum(cache_write_5m_tokens * 6250000 * (model != 'house-model')), 0,"
        " sum(cache_read_tokens * 4500000 * (model != 'house-model')), 0, 0, 0"
        " FROM responses GROUP BY 1, 2, 3, 4, 5, 6", (QUARTER,))
    # By hour, by day and by session.
    sums = (" priced, sum(responses), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),"
            " sum(cache_write_5m_tokens), sum(cache_write_1h_tokens), sum(web_searches), sum(input_pico), sum(output_pico),"
            " sum(cache_read_pico), sum(cache_write_pico), sum(web_search_pico) FROM usage_buckets")
    db.execute("INSERT INTO usage_rollups SELECT 4, quarter_hour - quarter_hour % 4, session, '', model, branch," + sums
               + " GROUP BY 2, 3, 5, 6, 7")
    db.execute("INSERT INTO usage_rollups SELECT 96, quarter_hour - quarter_hour % 96, session, agent_id, model, branch," + sums
               + " GROUP BY 2, 3, 4, 5, 6, 7")
    db.execute("INSERT INTO usage_rollups SELECT 0, 0, session, '', model, ''," + sums + " GROUP BY 3, 5, 7")
    db.commit()
    db.close()
    # The first report shares the sessions out, and keeps that.
    subprocess.run([binaries[0], "tools"], env=env, capture_output=True)


def context(answers, calls):
    """What a transcript adds to its context: the answers, each with the calls that it makes and their results."""
    entries, each = [{"k": "p", "t": 40}], -(-len(calls) // max(1, len(answers)))
    for at, (_, message) in enumerate(answers):
        own = calls[at * each:(at + 1) * each]
        made = [{"i": id, "n": tool, "t": wrote, "f": "rs"} for _, id, tool, _, _, wrote, _ in own]
        entries.append({"k": "r", "i": message, "t": 30, **({"u": made} if made else {})})
        entries += [{"k": "o", "i": id, "t": read} for _, id, _, _, _, _, read in own]
    return entries


def newest_session():
    """The newest session of the ledger, whose size is printed."""
    db = sqlite3.connect(ledger)
    count = lambda table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    print(", ".join(f"{count(table):,} {table}" for table in ["sessions", "tool_calls", "responses", "spent", "spent_sums"]))
    newest = db.execute("SELECT session_id FROM sessions ORDER BY last_seen_at DESC LIMIT 1").fetchone()[0]
    db.close()
    return newest


def median(command):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(command, env=env, cwd=work, capture_output=True)
        times.append((time.perf_counter() - start) * 1000)
        # 4: of that there is nothing.
        if done.returncode not in (0, 4):
            sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
    return statistics.median(times)


if given:
    shutil.copy(given, ledger)
    # The first command brings a ledger of an older release up to date, and shares its sessions out.
    subprocess.run([binaries[0], "tools"], env=env, capture_output=True)
else:
    make()
newest = newest_session()
keys = ["day", "week", "month", "session", "project", "branch", "model", "client", "agent"]
reports = [["cost", "--by", key] for key in keys]
reports += [["cost", "--since", "7d"], ["cost", "--since", "30d", "--compare"], ["cost", "--tz", "Europe/Berlin", "--json"],
            ["cost", "--project", work + "/project-7"], ["cost", "--model", "haiku"],
            ["cost", "--compare"], ["cost", "--detail"], ["cost", "--tz", "Asia/Kolkata"], ["cost", "--by", "agent", "--model", "opus"],
            ["cost", "--by", "month", "--since", "300d", "--compare"], ["cost", "--by", "session", "--compare"],
            ["tools"], ["agents"], ["cost", "--by", "tool"], ["cost", "--by", "step", "--json"],
            ["history"], ["history", "--all", "--json"], ["trends"], ["trends", "--days", "30", "--json"],
            ["dashboard", "--markdown", work + "/dashboard.md"],
            ["show-usage", "--session", newest], ["show-usage", "--session", newest, "--history", "--json"]]
reports += [["export", "--what", what, "--format", "jsonl"]
            for what in ["sessions", "calls", "responses", "days", "compactions", "steps"]]
reports += [["export", "--what", "calls", "--format", "csv"]]
for binary in binaries:
    print(f"{binary}\n  {'/bin/true':40} {median(['/bin/true']):7.1f} ms")
    for report in reports:
        shown = " ".join(word.replace(work, "…") for word in report).replace(newest, "ID")
        print(f"  {shown:40} {median([binary, *report]):7.1f} ms")

# The status line: whole processes, /bin/true started in turn, on this history.
status = json.dumps({"session_id": newest, "model": {"display_name": "Opus 5.5"}, "cost": {"total_cost_usd": 1.25},
                     "context_window": {"context_window_size": 200000, "current_usage": {"input_tokens": 5}}}).encode()
for binary in binaries:
    times = {binary: [], "/bin/true": []}
    for _ in range(max(runs * 10, 100)):
        for command in ([binary, "statusline"], ["/bin/true"]):
            start = time.perf_counter()
            subprocess.run(command, env=env, cwd=work, input=status, capture_output=True)
            times[command[0]].append((time.perf_counter() - start) * 1000)
    over = sorted(own - floor for own, floor in zip(times[binary], times["/bin/true"]))
    print(f"{binary} statusline: {statistics.median(times[binary]):.2f} ms, over /bin/true p50 {statistics.median(over):+.2f} ms"
          f" p95 {over[len(over) * 95 // 100]:+.2f} ms")
