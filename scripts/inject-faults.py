#!/usr/bin/env python3
"""Makes system calls of the hook and of commands fail, one at a time, and looks whether anything is lost.

For each kind of event and each command, strace tells which system calls a run makes. Then each of them is made to fail at
its 1st, 2nd, ... call (`strace -e inject=`), with ENOSPC, EIO, EACCES, EROFS, EINTR, EMFILE and ENOMEM, from the moment at
which the program itself begins. After each fault:

- a hook has ended with 0, has said nothing, and no thread has panicked;
- its event is in the ledger once the next one, without a fault, has come; or else a trace of the loss is there: a line in the
  log, a file in the spool, or a message on the way out (a payload that could not be read at all);
- a command has ended with an exit code of ours and did not panic; the ledger is sound.

Needs strace and Linux. `--short` tries a part that takes about 20 seconds; the choice is the same each time.
"""

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ERRORS = ["ENOSPC", "EIO", "EACCES", "EROFS", "EINTR", "EMFILE", "ENOMEM"]
# What no error of these can come of, what the standard library ends the process for (getrandom; no kernel fails it so), and
# wakes of threads: one that fails leaves a thread asleep for good, which no kernel does either.
NOT_OURS = {"execve", "futex", "exit_group", "exit", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "rt_sigreturn",
            "restart_syscall", "prctl", "brk", "sigaltstack", "getrandom"}
# Of each system call at most so many.
MAX_CALLS = 40
# How long a run may take, in seconds: longer than any command waits for a lock.
PATIENCE = 100
SECRET = "a-prompt-that-must-not-be-kept"
SESSION = "11111111-2222-4333-8444-555555555555"


class Case:
    """A run of the program: its arguments, what it reads, and how to see that its event is kept."""

    def __init__(self, name, args, payload=None, kept=None):
        self.name, self.args, self.payload, self.kept = name, args, payload, kept


def payload(event, **more):
    return {"session_id": SESSION, "transcript_path": "TRANSCRIPT", "cwd": "PROJECT", "hook_event_name": event, **more}


def cases():
    tool = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_response": {"stdout": "a\nb"},
            "tool_use_id": "toolu_fault"}
    call = "SELECT count(*) FROM tool_calls WHERE tool_use_id = 'toolu_fault'"
    yield Case("PostToolUse", ["hook"], payload("PostToolUse", **tool), call)
    failed = {k: v for k, v in tool.items() if k != "tool_response"} | {"error": "exit 1"}
    yield Case("PostToolUseFailure", ["hook"], payload("PostToolUseFailure", **failed), call)
    batch = {"tool_calls": [{"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "toolu_fault",
                             "tool_response": "a\nb"}]}
    yield Case("PostToolBatch", ["hook"], payload("PostToolBatch", **batch), call)
    yield Case("UserPromptSubmit", ["hook"], payload("UserPromptSubmit", prompt=SECRET, prompt_id="prompt-fault"),
               "SELECT count(*) FROM prompts WHERE prompt_id = 'prompt-fault'")
    yield Case("SessionStart", ["hook"], payload("SessionStart", source="startup", model="claude-opus-4-5"),
               "SELECT count(*) FROM sessions WHERE hook_first_at IS NOT NULL")
    yield Case("SessionEnd", ["hook"], payload("SessionEnd", reason="fault"),
               "SELECT count(*) FROM sessions WHERE end_reason = 'fault'")
    yield Case("SubagentStart", ["hook"], payload("SubagentStart", agent_id="agentfault", agent_type="Explore"),
               "SELECT count(*) FROM agent_runs WHERE agent_id = 'agentfault'")
    yield Case("SubagentStop", ["hook"], payload("SubagentStop", agent_id="agentfault", agent_type="Explore"),
               "SELECT count(*) FROM agent_runs WHERE agent_id = 'agentfault'")
    yield Case("PreCompact", ["hook"], payload("PreCompact", trigger="manual", prompt_id="prompt-fault"),
               "SELECT count(*) FROM compactions WHERE trigger = 'manual'")
    # A turn's end stores what the transcript has; the next one reads on.
    yield Case("Stop", ["hook"], payload("Stop"), "SELECT count(*) FROM responses")
    for args in (["show-usage"], ["history"], ["cost"], ["budget", "status"], ["budget", "set", "7"], ["import"],
                 ["doctor"], ["export", "--format", "csv"], ["init", "--no-import"], ["uninstall"], ["prices"], ["agents"],
                 ["statusline"]):
        yield Case(" ".join(args), args, {"session_id": SESSION} if args == ["statusline"] else None)


class Place:
    """A home, a project and a ledger of one run."""

    def __init__(self, root, seed=None):
        self.root = Path(root)
        if seed is None:
            for folder in ("home/.claude/projects/p", "project/.claude", "data"):
                (self.root / folder).mkdir(parents=True)
        else:
            shutil.copytree(seed.root, self.root, dirs_exist_ok=True)
        self.ledger = self.root / "data/ledger.db"
        self.transcript = self.root / f"home/.claude/projects/p/{SESSION}.jsonl"
        self.env = {"HOME": str(self.root / "home"), "TALLYHOOK_DB": str(self.ledger), "PATH": "/usr/bin:/bin"}

    def stdin(self, payload):
        if payload is None:
            return b""
        text = json.dumps(payload).replace("TRANSCRIPT", str(self.transcript))
        return text.replace("PROJECT", str(self.root / "project")).encode()

    def run(self, binary, case, strace=()):
        command = [*strace, str(binary), *case.args]
        return subprocess.run(command, input=self.stdin(case.payload), env=self.env, cwd=self.root / "project",
                              capture_output=True, timeout=PATIENCE)

    def count(self, sql):
        with sqlite3.connect(self.ledger) as conn:
            return conn.execute(sql).fetchone()[0]

    def traces(self):
        log = self.root / "data/hook-errors.log"
        files = list((self.root / "data").glob("*.spool*/*"))
        return (log.read_text(errors="replace") if log.exists() else "", len(files))


def seed(root, binary):
    """A ledger with a session that goes on."""
    place = Place(root)
    answer = {"type": "assistant", "uuid": "u1", "sessionId": SESSION, "timestamp": "2026-11-30T10:00:00.000Z",
              "requestId": "req_1", "message": {"id": "msg_1", "model": "claude-opus-4-5", "role": "assistant",
              "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn",
              "usage": {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 0,
                        "cache_creation_input_tokens": 0}}}
    place.transcript.write_text(json.dumps(answer) + "\n")
    first = Case("", ["hook"], payload("PostToolUse", tool_name="Read", tool_input={"file_path": "/x"},
                                       tool_response="x", tool_use_id="toolu_before"))
    assert place.run(binary, first).returncode == 0
    assert place.count("SELECT count(*) FROM tool_calls") == 1
    return place


LINE = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?([a-z_0-9]+)\(")


def system_calls(place, binary, case):
    """How often the program makes each system call, and how often it does before its first line runs."""
    out = place.root / "strace.out"
    ran = place.run(binary, case, ["strace", "-f", "-qq", "-o", str(out)])
    assert case.args != ["hook"] or ran.returncode == 0, ran
    lines = out.read_text(errors="replace").splitlines()
    out.unlink()
    # A failure in the loader or the runtime ends any program, before its first line. Both are done when the second call
    # for signals' own stack has been made.
    stacks = [at for at, line in enumerate(lines) if "sigaltstack(" in line]
    start = stacks[1] if len(stacks) > 1 else 0
    before, after = {}, {}
    for at, line in enumerate(lines):
        if found := LINE.match(line):
            counts = before if at <= start else after
            counts[found[1]] = counts.get(found[1], 0) + 1
    return {name: (before.get(name, 0), number) for name, number in after.items() if name not in NOT_OURS}


# The run took another way and did not make the call so often.
NOT_REACHED = "not reached"
# So many faults at least are injected in the short form, or it has shown nothing.
FEWEST = 40


def try_fault(binary, case, start, base, fault):
    """One run with one fault. Returns what is wrong, or None."""
    call, error, when = fault
    root = tempfile.mkdtemp(dir=base)
    try:
        place = Place(root, start)
        out = Path(root) / "strace.out"
        inject = f"inject={call}:error={error}:when={when}"
        strace = ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", inject, "-o", str(out)]
        try:
            ran = place.run(binary, case, strace)
        except subprocess.TimeoutExpired:
            # A command may wait a minute for a lock, for which the short form has no time.
            is_patient = PATIENCE < 100 and case.args not in (["hook"], ["statusline"])
            return None if is_patient else f"it did not end within {PATIENCE} s"
        if not out.exists() or "(INJECTED)" not in out.read_text(errors="replace"):
            return NOT_REACHED
        said = (ran.stdout + ran.stderr).decode(errors="replace")
        log, waiting = place.traces()
        if "panicked" in said or "panic at" in log:
            return f"panic: {said or log}"
        if case.args in (["hook"], ["statusline"]):
            if ran.returncode != 0:
                return f"exit {ran.returncode}: {said[-200:]}"
            if case.args == ["hook"] and said:
                return f"said {said[:200]!r}"
        elif ran.returncode not in range(0, 12):
            return f"exit {ran.returncode}: {said[-200:]}"
        follow = Case("", ["hook"], payload("PostToolUse", tool_name="Read", tool_input={"file_path": "/y"},
                                            tool_response="y", tool_use_id="toolu_after"))
        if case.name == "Stop":
            follow = case
        after = place.run(binary, follow)
        if after.returncode or after.stdout or after.stderr:
            return f"the next event: {after}"
        if place.count("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") != 1:
            return "the ledger is damaged"
        if case.kept and place.count(case.kept) != 1 and not log and not waiting:
            return "lost without a trace"
        if case.name != "Stop" and place.count("SELECT count(*) FROM tool_calls WHERE tool_use_id = 'toolu_after'") != 1:
            return "the event after it is lost"
        return None
    except (sqlite3.Error, OSError) as fault:
        return f"{type(fault).__name__}: {fault}"
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True, help="the program to be tried")
    parser.add_argument("--short", action="store_true", help="a part of it, for 20 seconds")
    parser.add_argument("--only", help="cases whose name has this in it")
    parser.add_argument("--seconds", type=float, help="stop after so many")
    args = parser.parse_args()
    if args.short:
        # Where the release of a lock has failed SQLite itself tries for ten seconds to get at what it guards.
        global PATIENCE
        PATIENCE = 25
    if not shutil.which("strace"):
        print("skipped: strace is not installed")
        return 0
    binary = args.binary.resolve()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as base:
        start = seed(Path(base) / "seed", binary)
        work = []
        for number, case in enumerate(case for case in cases() if not args.only or args.only in case.name):
            probe = Place(Path(base) / f"probe-{number}", start)
            try:
                calls = system_calls(probe, binary, case)
            except AssertionError as fault:
                print(f"skipped: strace cannot be used here: {str(fault)[:200]}")
                return 0
            for call, (before, count) in sorted(calls.items()):
                for nth in range(before + 1, before + min(count, MAX_CALLS) + 1):
                    work += [(case, (call, error, nth)) for error in ERRORS]
        total = len(work)
        if args.short or args.seconds:
            # Spread over all of it, and the same each time.
            work.sort(key=lambda item: hash_of(f"{item[0].name}{item[1]}"))
        faults, done = {}, 0
        deadline = time.monotonic() + (args.seconds or (20 if args.short else 1e9))
        with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
            def one(item):
                if time.monotonic() > deadline:
                    return item, "not tried"
                return item, try_fault(binary, item[0], start, base, item[1])
            for (case, fault), wrong in pool.map(one, work):
                if wrong in ("not tried", NOT_REACHED):
                    continue
                done += 1
                if wrong:
                    faults.setdefault(wrong[:80], []).append((case.name, *fault))
                    print(f"{case.name}: {' '.join(map(str, fault))}: {wrong}", flush=True)
    found = sum(map(len, faults.values()))
    print(f"{done} of {total} faults injected, {found} with a consequence that must not be")
    if args.short and done < FEWEST:
        print(f"that is too few to show anything: {FEWEST} are the least")
        return 1
    return 1 if found else 0


def hash_of(text):
    """A number that is the same in each run."""
    number = 0
    for byte in text.encode():
        number = (number * 31 + byte) % 1_000_003
    return number * 7919 % 1_000_003


if __name__ == "__main__":
    sys.exit(main())
