"""Forks: a new session that begins with a copy of another, whose responses stay the other's.

The ids of parents are given, so that they come before or after those of their forks: the outcome must not depend on that.
"""
from functools import partial

from mock_api import turn
from scenarios.counts import ONE, READ, agent, counts

PARTS = {"one": ONE, "two": [turn("Second part.")], "three": [turn(READ), turn("Third part.")]}
FORK = "--continue", "--fork-session"
FIRST_ID, LAST_ID = ("--session-id", "00000000-0000-4000-8000-000000000000"), ("--session-id", "ffffffff-ffff-4fff-bfff-ffffffffffff")


@counts(PARTS)
def fork_headless(world):
    session = world.prompt("Start", *LAST_ID, script="one").session
    world.prompt("Again", "--resume", session, script="two")
    world.prompt("Other", "--resume", session, "--fork-session", script="three")


def fork_in_terminal_of_terminal(world, parent):
    with world.terminal(*parent) as tty:
        tty.say("Start", "one")
        tty.say("Again", "two")
        tty.leave()
    with world.terminal(*FORK) as tty:
        tty.say("Other", "three")
        tty.leave()


def branch(world, parent):
    with world.terminal(*parent) as tty:
        tty.say("Start", "one")
        tty.say("Again", "two")
        tty.command("/branch")
        tty.say("Other", "three")
        tty.leave()


for play in (fork_in_terminal_of_terminal, branch):
    for place, parent in (("first", FIRST_ID), ("last", LAST_ID)):
        name = f"{play.__name__.replace('_', '-')}-parent-{place}"
        # The harder order, of two: where ids decide, the fork's is the first.
        counts(PARTS, terminal=True, name=name, short=place == "last")(partial(play, parent=parent))


@counts(PARTS, terminal=True)
def fork_in_terminal_of_headless(world):
    # In a terminal `--continue` does not see sessions that were made headless.
    session = world.prompt("Start", *LAST_ID, script="one").session
    world.prompt("Again", "--resume", session, script="two")
    # The hooks meet what an import has learned.
    world.tallyhook("import")
    with world.terminal("--resume", session, "--fork-session") as tty:
        tty.say("Other", "three")
        tty.leave()


@counts(PARTS, terminal=True)
def fork_headless_of_terminal(world):
    with world.terminal(*LAST_ID) as tty:
        tty.say("Start", "one")
        tty.say("Again", "two")
        tty.leave()
    world.prompt("Other", *FORK, script="three")


@counts({**PARTS, "four": [turn("Fourth part.")], "five": [turn("Fifth part.")]}, terminal=True)
def branch_of_a_branch_and_back(world):
    with world.terminal(*LAST_ID) as tty:
        tty.say("Start", "one")
        parent = world.api.answers[-1].session
        tty.command("/branch")
        tty.say("Other", "two")
        tty.command("/branch")
        tty.say("Another", "three")
        tty.command(f"/resume {parent}")
        tty.say("Back", "four")
        tty.leave()
    world.prompt("And on", "--resume", parent, script="five")


@counts({**PARTS, "four": [turn("Fourth part.")]}, terminal=True)
def parent_goes_on_beside_its_fork(world):
    with world.terminal(*LAST_ID) as tty:
        tty.say("Start", "one")
        world.prompt("Other", *FORK, script="two")
        tty.say("Meanwhile", "three")
        tty.leave()
    world.prompt("Last", *FORK, script="four")


# In a terminal agents run in the background, and their ends come as a prompt.
def delegate(script):
    return [turn(agent(script)), turn("It runs."), turn("It has ended.")]


@counts({"one": delegate("sub"), "sub": ONE, "two": [turn("After it.")], "three": delegate("sub-too"), "sub-too": ONE}, terminal=True)
def fork_after_agents_and_a_compaction(world):
    with world.terminal(*LAST_ID) as tty:
        tty.say("Start", "one")
        tty.command("/compact")
        tty.say("Again", "two")
        tty.leave()
    with world.terminal(*FORK) as tty:
        tty.say("Other", "three")
        tty.command("/compact")
        tty.leave()


@counts({"one": ONE, "aside": [turn("By the way.")], "two": [turn("From there on.")]}, terminal=True)
def btw_made_a_fork(world):
    with world.terminal(*LAST_ID) as tty:
        tty.say("Start", "one")
        tty.say("/btw what?", "aside")
        tty.key("f")
        tty.settle()
        tty.say("Go on", "two")
        tty.leave()
