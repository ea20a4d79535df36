"""Registration: with the hook there are rows, after `uninstall` there are none, and without the binary the client shows no error."""
import os
import shutil
import subprocess

from ledger import check_hook
from mock_api import call, turn
from scenarios import nothing, suite, with_init, with_plugin
from world import REPOSITORY

init = suite("init", prepare=nothing, verify=check_hook)
HELLO = {"main": [turn(call("Bash", command="echo hello", description="Say hello")), turn("Done.")]}


def ask(world, calls, what):
    """Asks the client, which must answer and show no error, and checks how many calls the ledger has then."""
    run = world.prompt("Go", script="main")
    world.check(f"the answer {what}", [result["result"] for result in run.results], ["Done."])
    world.check(f"errors of hooks {what}", "hook error" in "".join(run.output).lower(), False)
    world.check(f"calls in the ledger {what}", len(world.tallyhook("export", "--format", "jsonl").splitlines()), calls)


@init(HELLO, short=True)
def init_and_uninstall(world):
    with_init(world)
    ask(world, 1, "with the hook")
    world.tallyhook("doctor")
    world.tallyhook("uninstall")
    ask(world, 1, "after uninstall")


@init(HELLO)
def binary_gone(world):
    with_init(world)
    ask(world, 1, "with the hook")
    os.rename(world.bin + "/tallyhook", world.bin + "/gone")
    world.prompt("Go", script="main")
    os.rename(world.bin + "/gone", world.bin + "/tallyhook")
    world.check("errors of hooks", "hook error" in "".join(world.headless[-1].output).lower(), False)
    ask(world, 2, "with the binary back")


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
