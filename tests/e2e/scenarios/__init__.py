"""Scenarios by suite. A scenario is a function that plays in a `World`, with the scripts of the mock that it needs."""
from dataclasses import dataclass
from typing import Callable


@dataclass
class Scenario:
    suite: str
    name: str
    scripts: dict
    play: Callable
    prepare: Callable
    verify: Callable
    terminal: bool = False  # needs tmux
    short: bool = False  # part of the short form
    cut_short: frozenset = frozenset()  # scripts that are not played to their ends
    lacks: Callable = lambda: None  # what this machine lacks to run it, or None
    clean_up: Callable = lambda world: None


SUITES = {}


def suite(name, prepare, verify):
    """A decorator for the scenarios of a suite; `prepare` and `verify` are what they do before and after, unless they say so."""
    scenarios = SUITES.setdefault(name, [])

    def of(scripts, **options):
        def add(play):
            called = options.pop("name", None) or play.__name__.replace("_", "-")
            scenarios.append(Scenario(name, called, scripts, play, **{"prepare": prepare, "verify": verify, **options}))
            return play
        return add
    return of


def with_init(world):
    """Registers the hook as the README says."""
    world.tallyhook("init", "--no-import", "--no-statusline")


def with_plugin(world):
    """Has the client load this repository as a plugin, which finds the binary by PATH."""
    world.plugin()


def nothing(_world):
    pass
