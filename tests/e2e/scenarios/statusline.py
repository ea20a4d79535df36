"""The status line in the client's terminal view."""
import re

from ledger import check_hook
from mock_api import turn
from scenarios import nothing, suite
from scenarios.counts import ONE

statusline = suite("statusline", prepare=nothing, verify=check_hook)



def shown(tty, cost):
    """The line of the screen with an amount that is the cost, as far as it is rounded."""
    for line in tty.screen().splitlines():
        if any(f"{cost:.{len(digits)}f}" == f"{whole}.{digits}" for whole, digits in re.findall(r"\$(\d+)\.(\d+)", line)):
            return line.strip()
    return None


@statusline({"one": ONE, "two": [turn("Again.")]}, terminal=True)
def shows_the_cost_until_uninstall(world):
    world.tallyhook("init", "--no-import", "--statusline")
    with world.terminal() as tty:
        tty.say("Go", "one")
        cost = world.ask("show-usage")["actual"]["cost_usd"]
        tty.wait(f"a line with the cost of {cost}", lambda: shown(tty, cost))
        world.notes.append(shown(tty, cost))
        tty.leave()
    world.tallyhook("uninstall")
    with world.terminal() as tty:
        tty.say("Go", "two")
        world.check("an amount on the screen after uninstall", re.findall(r"\$\d", tty.screen()), [])
        tty.leave()
