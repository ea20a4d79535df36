"""The truth of the mock beside the totals of a ledger, session for session and token for token."""
import os
import shutil

from mock_api import SPLIT

CLASSES = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "web_searches")


def billed(usage):
    """The API's usage by the ledger's classes."""
    split = usage.get("cache_creation") or {SPLIT[0]: usage["cache_creation_input_tokens"]}
    return [usage["input_tokens"], usage["output_tokens"], usage["cache_read_input_tokens"], *(split.get(name, 0) for name in SPLIT),
            usage.get("server_tool_use", {}).get("web_search_requests", 0)]


def tokens(usage):
    return sum(billed(usage)[:-1])


def truth(answers):
    """What each session was billed: main conversation, subagents, compactions and side requests."""
    sessions = {}
    for answer in answers:
        if answer.usage:
            before = sessions.get(answer.session, [0] * len(CLASSES))
            sessions[answer.session] = [a + b for a, b in zip(before, billed(answer.usage))]
    return sessions


def recorded(world, ledger):
    """What a ledger says of each session that has used anything."""
    rows = world.ask("history", "--all", ledger=ledger).get("rows", [])
    sessions = {row["id"]: [row["usage"][name] for name in CLASSES] for row in rows if row["usage"]}
    return {session: usage for session, usage in sessions.items() if any(usage)}


def differences(world, ledger):
    """By session, what a ledger and the truth say differently."""
    want, have, none = truth(world.api.answers), recorded(world, ledger), [0] * len(CLASSES)
    found = {}
    for session in want.keys() | have.keys():
        off = [got - right for got, right in zip(have.get(session, none), want.get(session, none))]
        if any(off):
            found[session] = (f"{sum(have.get(session, none)[:-1]):,} tokens, the API billed {sum(want.get(session, none)[:-1]):,} ("
                              + ", ".join(f"{name} {amount:+,}" for name, amount in zip(CLASSES, off) if amount) + ")")
    return found


def check_totals(world):
    """Compares the ledger as the hooks left it, as it is when someone looks, and what an import makes of the same logs."""
    projects, hooks_alone = world.home + "/.claude/projects", world.folder + "/hooks-alone"
    found = {}
    # With no transcript there, a report cannot learn what the hooks have missed.
    shutil.copytree(os.path.dirname(world.ledger), hooks_alone)
    os.rename(projects, projects + ".away")
    found["by the hooks alone"] = differences(world, hooks_alone + "/ledger.db")
    os.rename(projects + ".away", projects)
    found["by the hooks"] = differences(world, world.ledger)
    imported = world.folder + "/imported.db"
    world.tallyhook("import", ledger=imported)
    found["by an import"] = differences(world, imported)
    before = world.tallyhook("export", "--what", "responses", "--format", "jsonl")
    world.tallyhook("import")
    found["by the hooks, then an import"] = differences(world, world.ledger)
    after = world.tallyhook("export", "--what", "responses", "--format", "jsonl")
    world.check("responses that an import changes after the hooks", sorted(set(after.splitlines()) ^ set(before.splitlines())), [])
    ways = {}
    for way, sessions in found.items():
        for session, off in sessions.items():
            ways.setdefault((session, off), []).append(way)
    world.problems += [f"session {session}, {'; '.join(how)}: {off}" for (session, off), how in ways.items()]
    check_hook(world)
    check_scripts(world)
    answers = [answer for answer in world.api.answers if answer.usage]
    total = sum(sum(usage[:-1]) for usage in truth(answers).values())
    world.notes.append(f"{len(truth(answers))} sessions, {len(answers)} responses, {total:,} tokens")


def check_hook(world):
    """The hook writes its own faults into a log."""
    log = os.path.join(os.path.dirname(world.ledger), "hook-errors.log")
    if os.path.exists(log):
        world.problems.append("the hook has logged faults:\n" + open(log).read())


def check_scripts(world):
    """A script that was not played to its end, or went past it, shows a scenario that does not do what it says."""
    played = {answer.script for answer in world.api.answers if answer.is_last}
    world.check("scripts that were not played to their ends", sorted(set(world.api.scripts) - played - set(world.cut_short)), [])
    beyond = {answer.script for answer in world.api.answers if answer.kind == "turn" and answer.is_beyond}
    world.check("scripts that were played beyond their ends", sorted(map(str, beyond)), [])
