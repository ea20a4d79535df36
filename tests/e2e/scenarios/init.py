"""Registration: with the hook there are rows, after `uninstall` there are none, and without the binary the client shows no error."""
import os
import re
import shutil
import subprocess

from ledger import check_hook
from mock_api import call, turn
from scenarios import nothing, suite, with_init, with_plugin
from world import REPOSITORY

init = suite("init", prepare=nothing, verify=check_hook)
TROUBLE = re.compile(r"hook[ -](?:error|failed|problem)|\"outcome\":\"error\"")
HELLO = {"main": [turn(call("Bash", command="echo hello", description="Say hello")), turn("Done.")]}


def ask(world, calls, what):
    """Asks the client, which must answer and show no trouble with hooks, and checks how many calls the ledger has then."""
    run = world.prompt("Go", script="main")
    world.check(f"the answer {what}", [result["result"] for result in run.results], ["Done."])
    world.check(f"trouble with hooks {what}", TROUBLE.findall("".join(run.output)), [])
    world.check(f"calls in the ledger {what}", len(world.tallyhook("export", "--format", "jsonl").splitlines()), calls)


@init(HELLO, short=True)
def init_and_uninstall(world):
    with_init(world)
    ask(world, 1, "with the hook")
    world.tallyhook("doctor")
    world.tallyhook("uninstall")
    ask(world, 1, "after uninstall")


@init(HELLO, terminal=True)
def binary_gone(world):
    with_init(world)
    os.rename(world.bin + "/tallyhook", world.bin + "/gone")
    world.prompt("Go", script="main")
    with world.terminal() as tty:
        tty.say("Go", "main")
        tty.leave()
    os.rename(world.bin + "/gone", world.bin + "/tallyhook")
    shown = "".join(world.headless[0].output) + "".join(tty.pages)
    world.check("trouble with hooks without the binary", TROUBLE.findall(shown), [])
    ask(world, 1, "with the binary back")


@init(HELLO)
def plugin_finds_the_binary_outside_of_path(world):
    os.makedirs(world.home + "/.local/bin")
    shutil.copy(world.binary, world.home + "/.local/bin/tallyhook")
    world.env["PATH"] = world.env["PATH"].replace(world.bin + os.pathsep, "")
    with_plugin(world)
    ask(world, 1, "with the plugin")


@init(HELLO)
def plugin_beside_init(world):
    with_init(world)
    with_plugin(world)
    ask(world, 1, "with both")


@init({})
def plugin_is_valid(world):
    done = subprocess.run([world.claude, "plugin", "validate", "--strict", REPOSITORY], cwd=world.project, env=world.env,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    world.check("`claude plugin validate`", (done.returncode, done.stdout + done.stderr if done.returncode else ""), (0, ""))
