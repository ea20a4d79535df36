"""Budgets and alerts: a session is warned once, a hard limit stops it before the next paid request and can be lifted, and a ledger
that is removed, read-only, locked or full stops nobody.

The first answer of the mock has some 18,200 tokens, each later one that much again and a little more.
"""
import os
import platform
import shutil
import subprocess
import sys

from ledger import check_hook, tokens
from mock_api import call, turn
from scenarios import suite, with_init, with_plugin
from scenarios.counts import READ, agent, bash

budgets = suite("budgets", prepare=with_init, verify=check_hook)
ADD = "tallyhook budget add 1000000 --tokens"


def steps(number):
    return [turn(f"Step {step}.", READ) for step in range(number)] + [turn("Done.")]


def go(world):
    world.prompt("Go", script="main", code=None)


def budget(name, scripts, limit, expect, most, play=go, *, stop=True, warn=80, register=with_init, after=0, under_way=0, turns=None,
           said=None, fault=False, alerts=False, set_before=True, **options):
    """Adds a scenario with a budget of `limit` tokens.

    expect     "warned", "stopped", "lifted", or "untouched": it goes on to its end
    most       the requests that may be answered
    after      the requests that are sent after the answer that reaches the limit
    under_way  the requests that wait for their answers at that moment
    turns      the turns that the ledger counts
    said       texts, and how often the user reads each
    fault      something happens to the ledger, so nothing can be asked of it
    """
    earlier = options.pop("prepare", None)

    def prepare(world):
        if earlier:
            earlier(world)
        register(world)
        if alerts:
            world.tallyhook("alerts", "on", "--repeats", "3")
        if set_before:
            world.tallyhook("budget", "set", str(limit), "--tokens", "--warn", str(warn), *["--stop"] * stop)

    def verify(world):
        answers = sorted((answer for answer in world.api.answers if answer.usage and answer.kind != "side"),
                         key=lambda answer: answer.ended_ns)
        used, crossed = 0, None
        for answer in answers:
            used += tokens(answer.usage)
            crossed = crossed or (answer if used >= limit else None)
        # Nobody could know that a request came too late which was sent before the answer that reaches the limit.
        later = [answer for answer in answers if crossed and answer is not crossed and answer.ended_ns >= crossed.ended_ns]
        sent_after = sum(answer.asked_ns > crossed.ended_ns for answer in later)
        session, results = answers[0].session, [result for run in world.headless for result in run.results]
        rows = [] if fault else world.ask("budget", "status", "--session", session)["budgets"]
        warned = world.said("%) used this session")
        world.check("more requests than there may be", len(answers) > most, False)
        if not fault:
            check_hook(world)
        world.check("stopped", any(row["stopped_at"] for row in rows), expect == "stopped")
        world.check("warnings", warned, 1 if expect == "warned" else min(warned, 1))
        if stop and expect in ("warned", "stopped"):
            world.check("requests after the limit", sent_after, after)
            world.check("requests under way at the limit", len(later) - sent_after, under_way)
        if expect == "untouched":
            world.check("requests", len(answers), most)
            world.check("ends", {result["subtype"] for result in results}, {"success"} if results else set())
        for text, times in (said or {}).items():
            world.check(f"{text!r} was said, times", world.said(text), times)
        if turns is not None:
            world.check("turns", world.ask("show-usage", "--session", session)["session"]["turns"], turns)
        past = f", {max(used - limit, 0):,} past it, {sent_after} requests after it" if expect == "stopped" else ""
        world.notes.append(f"{len(answers)} requests, {used:,} of {limit:,} tokens{past}")

    budgets(scripts, name=name, prepare=prepare, verify=verify, **options)(play)


budget("warned", {"main": steps(4)}, 120_000, "warned", 5, stop=False)
budget("stopped", {"main": steps(8)}, 70_000, "stopped", 4)
# As a plugin, which cannot ask for PreToolUse.
budget("stopped-as-plugin", {"main": steps(8)}, 70_000, "stopped", 4, register=with_plugin)
budget("parallel", {"main": [turn(*(bash(f"sleep 0.{n}; echo {n}") for n in range(6))) for _ in range(6)] + [turn("Done.")]},
       50_000, "stopped", 3)

# In the background the subagent reaches the limit while the main conversation waits in a tool: neither sends another request.
WAIT = bash("until [ -e reached ]; do sleep 0.1; done; sleep 1")
budget("subagent", {"main": [turn(agent("sub")), turn("Go on.", WAIT), turn("Done.")],
                    "sub": [*steps(2)[:2], turn("Step 2.", bash("touch reached"))] + steps(5)}, 90_000, "stopped", 5)
# A request of the main conversation that is under way cannot be taken back by a hook: it is the last one.
budget("subagent-under-way", {"main": [turn(agent("sub")), turn("Go on.", READ, wait_ms=15_000), turn("Done.")], "sub": steps(8)},
       90_000, "stopped", 6, under_way=1)
FOREGROUND = {"run_in_background": False}
budget("subagent-foreground", {"main": [turn(agent("sub", **FOREGROUND)), turn("Go on.", READ), turn("Done.")], "sub": steps(8)},
       90_000, "stopped", 5)
budget("subagent-nested", {"main": [turn(agent("sub", **FOREGROUND)), turn("Done.")],
                           "sub": [turn(agent("deep", **FOREGROUND)), turn("Done.")], "deep": steps(8)}, 90_000, "stopped", 5)
# The answer that asks for a subagent reaches the limit: it is not started. Without PreToolUse nothing keeps it from its first
# request.
for called, way, more in [("subagent-refused", with_init, 0), ("subagent-as-plugin", with_plugin, 1)]:
    budget(called, {"main": [turn(READ), turn(agent("sub", **FOREGROUND)), turn("Done.")], "sub": steps(8)},
           37_000, "stopped", 2 + more, register=way, after=more)
# The client shows nobody what is said inside a subagent; the main conversation says it.
budget("subagent-warned", {"main": [turn(agent("sub", **FOREGROUND)), turn("Done.")], "sub": steps(5)},
       170_000, "warned", 8, stop=False, warn=55)


def resumed(world):
    session = world.prompt("Go", script="one", code=None).session
    for _ in range(2):
        world.prompt("Again", "--resume", session, script="two", code=None)


def lifted(world):
    session = world.prompt("Go", script="one", code=None).session
    world.tallyhook(*ADD.split()[1:])
    world.prompt("Again", "--resume", session, script="two", code=None)


budget("resumed", {"one": steps(1), "two": steps(8)}, 90_000, "stopped", 5, resumed)
budget("lifted", {"one": steps(8), "two": steps(2)}, 37_000, "lifted", 6, lifted)
# The agent lifts the stop itself, in the batch that would be stopped.
budget("lifted-by-agent", {"main": [turn(READ), turn(bash(ADD)), turn("Go on.", READ), turn("Done.")]}, 37_000, "lifted", 4)


def set_while_running(world):
    go(world)
    world.check("files of calls before and after the refusal",
                [os.path.exists(f"{world.project}/{name}.made") for name in ("first", "second")], [True, False])


# The budget registers PreToolUse under a client that runs. It takes the changed settings: the last call is refused and makes no
# file.
budget("set-while-running", {"main": [turn(bash("tallyhook budget set 0 --tokens --stop"), bash("sleep 2; touch first.made"),
                                           bash("touch second.made"))] + steps(4)}, 0, "stopped", 1, set_while_running, set_before=False)


def in_terminal(world):
    with world.terminal() as tty:
        tty.send("Go", "one")
        tty.wait_for("tallyhook: stopped because the budget")
        tty.settle()
        tty.send("Blocked", "two")
        tty.wait_for("operation blocked by hook")
        tty.settle()
        tty.key("C-u")
        tty.send(ADD)
        tty.wait_for("Done.")
        tty.settle()
        tty.leave()


# In a terminal: stopped, a prompt is blocked, the user lifts the stop by a prompt of his own, and it goes on.
budget("terminal", {"one": [*steps(4)[:4], turn(bash(ADD)), turn("Go on.", READ), turn("Done.")], "two": steps(2)},
       70_000, "lifted", 7, in_terminal, terminal=True, turns=2,
       said={"%) used this session": 1, "tallyhook: stopped because the budget": 2, "Done.": 1})


def resumed_in_terminal(world):
    with world.terminal() as tty:
        tty.send("Go", "one")
        tty.wait_for("tallyhook: stopped because the budget")
        tty.settle()
        tty.leave()
    with world.terminal("--continue") as tty:
        tty.send("Again", "two")
        tty.wait_for("operation blocked by hook")
        tty.settle()
        tty.key("C-u")
        tty.leave()


budget("terminal-resumed", {"one": steps(8), "two": steps(2)}, 37_000, "stopped", 2, resumed_in_terminal, terminal=True, turns=1,
       said={"UserPromptSubmit operation blocked by hook": 1})

# Faults of the ledger in mid-session: whatever was used, nobody is stopped.
FOLDER = ".local/share/tallyhook"
LOCK = 'import sqlite3, time; c = sqlite3.connect("ledger.db"); c.execute("BEGIN IMMEDIATE"); time.sleep(25)'
FAULTS = {
    "removed": 'rm -rf "$PWD"',
    "read-only-folder": "chmod -R a-w .; chattr -R +i .",
    "read-only-file": "chmod a-w ledger.db; chattr +i ledger.db",
    "locked": f"(python3 -c '{LOCK}' >/dev/null 2>&1 &); sleep 0.5",
    "full": "dd if=/dev/zero of=fill bs=4k",
    "no-ledger-any-more": "for file in *; do echo nonsense > $file; done",
}
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def small_disk(world):
    """Puts the ledger's folder on a file system of its own, which can be filled."""
    os.makedirs(f"{world.home}/{FOLDER}")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", f"{world.home}/{FOLDER}"], check=True)


def make_writable(world):
    for command in (["chattr", "-R", "-i"], ["chmod", "-R", "u+w"], ["umount"]):
        if shutil.which(command[0]):
            subprocess.run([*command, f"{world.home}/{FOLDER}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lacks_immutable():
    """Permissions alone do not keep root from writing."""
    return "root needs chattr for it" if IS_ROOT and not shutil.which("chattr") else None


def lacks_mount():
    return None if IS_ROOT and platform.system() == "Linux" else "only root on Linux can mount a small disk"


for called, command in FAULTS.items():
    options = {"prepare": small_disk, "lacks": lacks_mount} if called == "full" else {}
    options = {"lacks": lacks_immutable} if called.startswith("read-only") else options
    budget(called, {"main": [turn(READ), turn(bash(f"cd ~/{FOLDER} && {command}; true"))] + steps(5)},
           60_000, "untouched", 8, fault=True, clean_up=make_writable, **options)

# Alerts, with a budget that is far away. In a terminal a subagent runs in the background, and the turn after it is one more.
ALERTED = {"3 times with the same input": 1, "; session so far": 1}
REPEATS = {"main": [turn(bash("echo again")) for _ in range(5)] + [turn(agent("sub")), turn("Done.")], "sub": steps(1)}


def alerts_in_terminal(world):
    with world.terminal() as tty:
        tty.say("Go", "main")
        tty.leave()


budget("alerts", REPEATS, 9_000_000, "untouched", 10, alerts=True, said=ALERTED)
budget("alerts-terminal", REPEATS, 9_000_000, "untouched", 10, alerts_in_terminal, terminal=True, alerts=True, said=ALERTED)
