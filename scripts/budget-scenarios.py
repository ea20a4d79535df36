"""Scenarios of check-budgets.sh, beside the harness's own (its scenarios.py says how a conversation is written).

Each has `limit` (tokens), `stop`, `expect` ("warned", "stopped", "lifted", or "untouched": it goes on to its end, for the ledger
has a fault), `most` (the requests that may be answered), and optionally `after` (the requests that are sent after the cap was
crossed, else 0), `under_way` (those that were waiting for their answers then), `said` (texts and how often the user reads each)
and `turns`. The budget is set by a SessionStart hook of the scenario, before our own, as a user would before he starts.
"""
from usual import ALL_EVENTS, P, QUIET, T, turn  # noqa: F401  (the driver reads the first three)

READ = T("Read", file_path=P + "/a.txt")
S = {}


def many(n):
    return [turn(f"Step {i}.", READ) for i in range(n)] + [turn("Done.")]


def agent(script, **more):
    return T("Agent", description="Look", prompt=f"Look [[s:{script}]]", subagent_type="general-purpose", **more)


def scenario(name, scripts, runs, limit, expect, most, stop=True, **more):
    set_it = f"tallyhook budget set {limit} --tokens{' --stop' if stop else ''} --warn {more.pop('warn', 80)} >/dev/null"
    again = more.pop("again", "true")
    set_it = more.pop("first", "") + set_it
    once = f"if [ -e $CLAUDE_CONFIG_DIR/set ]; then {again} >/dev/null; else touch $CLAUDE_CONFIG_DIR/set; {set_it}; fi; exec tallyhook hook"
    # "later": as `init` has registered the hook, `budget set` adds PreToolUse. "never": as a plugin, which it cannot change.
    gate = more.pop("gate", "now")
    line = "env tallyhook hook" if gate == "never" else "tallyhook hook"
    hooks = {event: [{"command": line, "timeout": 10}] for event in QUIET if event != "PreToolUse" or gate == "now"}
    hooks["SessionStart"] = [{"command": once, "timeout": 10}]
    S[name] = dict(scripts=scripts, runs=runs, hooks=hooks, limit=limit, stop=stop, expect=expect, most=most, **more)


# The mock's first answer has some 18,250 tokens, each later one that much again and a little more.
scenario("warned", {"main": many(4)}, [dict(prompt="Go [[s:main]]")], 120_000, "warned", 5, stop=False)
scenario("stopped", {"main": many(8)}, [dict(prompt="Go [[s:main]]")], 70_000, "stopped", 4)
scenario("stopped-no-gate", {"main": many(8)}, [dict(prompt="Go [[s:main]]")], 70_000, "stopped", 4, gate="never")
scenario("parallel", {"main": [turn(*[T("Bash", command=f"sleep 0.{i}; echo {i}", description="B") for i in range(6)]) for _ in range(6)] + [turn("Done.")]},
         [dict(prompt="Go [[s:main]]")], 50_000, "stopped", 3)
# In the background the subagent crosses the cap while the main conversation waits in a tool: neither sends another request.
CROSSED = T("Bash", command="touch crossed", description="Cross")
WAIT = T("Bash", command="until [ -e crossed ]; do sleep 0.1; done; sleep 1", description="Wait")
scenario("subagent", {"main": [turn(agent("sub")), turn("Go on.", WAIT), turn("Done.")],
                      "sub": [turn("Step 0.", READ), turn("Step 1.", READ), turn("Step 2.", CROSSED)] + many(5)},
         [dict(prompt="Go [[s:main]]")], 90_000, "stopped", 5)
# The same while a request of the main conversation is under way, which no hook can take back: it is the last one.
scenario("subagent-under-way", {"main": [turn(agent("sub")), turn("Go on.", READ, delay_ms=15_000), turn("Done.")], "sub": many(8)},
         [dict(prompt="Go [[s:main]]")], 90_000, "stopped", 6, under_way=1)
# In the foreground, where the main conversation waits for its answer; and a subagent of a subagent.
scenario("subagent-foreground", {"main": [turn(agent("sub", run_in_background=False)), turn("Go on.", READ), turn("Done.")], "sub": many(8)},
         [dict(prompt="Go [[s:main]]")], 90_000, "stopped", 5)
scenario("subagent-nested", {"main": [turn(agent("sub", run_in_background=False)), turn("Done.")],
                             "sub": [turn(agent("deep", run_in_background=False)), turn("Done.")], "deep": many(8)},
         [dict(prompt="Go [[s:main]]")], 90_000, "stopped", 5)
# The answer that asks for a subagent crosses the cap: the subagent is not started. Without PreToolUse nothing can keep it from
# its first request.
for name, gate, after in [("subagent-refused", "now", 0), ("subagent-no-gate", "never", 1)]:
    scenario(name, {"main": [turn(READ), turn(agent("sub", run_in_background=False)), turn("Done.")], "sub": many(8)},
             [dict(prompt="Go [[s:main]]")], 37_000, "stopped", 2 + after, gate=gate, after=after)
# The client shows nobody what is said inside of a subagent; the main conversation says it.
scenario("subagent-warned", {"main": [turn(agent("sub", run_in_background=False)), turn("Done.")], "sub": many(5)},
         [dict(prompt="Go [[s:main]]")], 170_000, "warned", 8, stop=False, warn=55)
scenario("resumed", {"one": many(1), "two": many(8)},
         [dict(prompt="Go [[s:one]]"), dict(prompt="Again [[s:two]]", args=["--resume", "@SID"]),
          dict(prompt="And again [[s:two]]", args=["--resume", "@SID"])], 90_000, "stopped", 5)
scenario("lifted", {"one": many(8), "two": many(2)},
         [dict(prompt="Go [[s:one]]"), dict(prompt="Again [[s:two]]", args=["--resume", "@SID"])], 37_000, "lifted", 6,
         again="tallyhook budget add 1000000 --tokens")
# The agent lifts the stop itself, in the batch that would be stopped.
scenario("lifted-by-agent", {"main": [turn(READ), turn(T("Bash", command="tallyhook budget add 1000000 --tokens", description="Lift")),
                                     turn("Go on.", READ), turn("Done.")]},
         [dict(prompt="Go [[s:main]]")], 37_000, "lifted", 4)
# The budget is set while the client runs, so PreToolUse is registered under it: does it take the changed settings? If so,
# the last call is refused and makes no file.
scenario("set-while-running", {"main": [turn(
    T("Bash", command="tallyhook budget set 0 --tokens --stop", description="Set"),
    T("Bash", command="sleep 2; touch first.made", description="First"), T("Bash", command="touch second.made", description="Second"))] + many(4)},
         [dict(prompt="Go [[s:main]]")], 900_000, "stopped", 1, gate="later")
# In the terminal view: warned, stopped, a prompt is blocked, the user lifts the stop by a prompt of his own, and it goes on.
scenario("terminal", {"one": [turn(f"Step {i}.", READ) for i in range(4)] + [
    turn(T("Bash", command="tallyhook budget add 1000000 --tokens", description="Lift")), turn("Go on.", READ), turn("Done.")],
    "two": many(2)},
         [dict(keys=["Go [[s:one]]", "~7", "^C-l", "Blocked [[s:two]]", "~3", "^C-u", "tallyhook budget add 1000000 --tokens", "~7", "^C-l",
                     "/exit", "~2"])], 70_000, "lifted", 7, turns=2,
         said={"%) used this session": 1, "tallyhook: stopped, the budget": 2, "Done.": 1})
# The terminal view goes on with a session that was stopped: its first prompt is blocked.
scenario("terminal-resumed", {"one": many(8), "two": many(2)},
         [dict(keys=["Go [[s:one]]", "~5", "^C-l", "/exit", "~2"]),
          dict(keys=["Again [[s:two]]", "~3", "^C-l", "^C-u", "/exit", "~2"], args=["--continue"])], 37_000, "stopped", 2, turns=1,
         said={"UserPromptSubmit operation blocked by hook": 1})
# Faults of the ledger in mid-session: whatever was used, nobody is stopped and nothing is shown.
DATA = "D=$(dirname $TALLYHOOK_DB); "
LOCK = "python3 -c 'import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); c.execute(\"BEGIN IMMEDIATE\"); time.sleep(25)' $TALLYHOOK_DB"
FAULTS = {
    "removed": "python3 -c 'import shutil, sys; shutil.rmtree(sys.argv[1])' $D; true",
    # Root is not kept from writing by permissions.
    "read-only-folder": "chmod -R a-w $D; chattr -R +i $D; true",
    "read-only-file": "chmod a-w $TALLYHOOK_DB; chattr +i $TALLYHOOK_DB; true",
    "locked": f"(setsid {LOCK} >/dev/null 2>&1 &); sleep 0.5",
    "full": "dd if=/dev/zero of=$D/fill bs=4k; true",
    "no-ledger-any-more": "for f in $D/*; do echo nonsense > $f; done",
}
for fault, command in FAULTS.items():
    first = "mkdir -p $(dirname $TALLYHOOK_DB); mount -t tmpfs -o size=1500k none $(dirname $TALLYHOOK_DB); " if fault == "full" else ""
    scenario(fault, {"main": [turn(READ), turn(T("Bash", command=DATA + command, description="Fault"))] + many(5)},
             [dict(prompt="Go [[s:main]]")], 60_000, "untouched", 8, first=first)
# Alerts, with a budget that is far away.
scenario("alerts", {"main": [turn(T("Bash", command="echo again", description="Again")) for _ in range(5)] + [
    turn(agent("sub")), turn("Done.")], "sub": many(1)},
         [dict(prompt="Go [[s:main]]")], 9_000_000, "untouched", 10, first="tallyhook alerts on --repeats 3 >/dev/null; ",
         said={"3 times with the same input": 1, "; this session so far": 1})
scenario("alerts-terminal", S["alerts"]["scripts"], [dict(keys=["Go [[s:main]]", "~10", "^C-l", "/exit", "~2"])], 9_000_000, "untouched", 10,
         first="tallyhook alerts on --repeats 3 >/dev/null; ", said={"3 times with the same input": 1, "; this session so far": 1})
