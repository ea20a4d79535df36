#!/usr/bin/env python3
"""Plays tallyhook under the real Claude Code, in front of a mock of its API. See README.md beside this file."""
import argparse
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
import client  # noqa: E402
from mock_api import MockApi  # noqa: E402
from scenarios import SUITES, budgets, counts, forks, init, statusline  # noqa: E402, F401  (they fill SUITES)
from world import REPOSITORY, World, write  # noqa: E402

HOW_TO_GET = {
    "npm": "it comes with Node.js: https://nodejs.org, `apt install npm` or `brew install node`; or name a client with --client",
    "tmux": "`apt install tmux` or `brew install tmux`; or leave out the scenarios with a terminal (--headless)",
    "git": "`apt install git` or `brew install git`",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=[*SUITES, "all"], default="all", help="which suite to play (default: all)")
    parser.add_argument("--scenario", nargs="+", metavar="NAME", help="only these scenarios; NAME may have wildcards")
    parser.add_argument("--short", action="store_true", help="the few scenarios for CI, in less than a minute")
    parser.add_argument("--headless", action="store_true", help="only scenarios without a terminal")
    parser.add_argument("--list", action="store_true", help="print the scenarios and play none")
    parser.add_argument("--binary", metavar="PATH", help="the tallyhook to test (default: target/release, else target/debug)")
    parser.add_argument("--client", metavar="PATH", default=os.environ.get("CLAUDE_BIN"),
                        help="a Claude Code that is installed (default: $CLAUDE_BIN)")
    parser.add_argument("--client-version", metavar="V", default="latest", help="the version to install (default: the newest)")
    parser.add_argument("--cache", metavar="DIR", help="keep installed clients here, and use one that is there")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="play N scenarios at once (default: 1)")
    parser.add_argument("--keep", action="store_true", help="keep the scenarios' folders and print where they are")
    return parser.parse_args()


def selected(options):
    for name, scenarios in SUITES.items():
        for scenario in scenarios:
            if (options.suite in (name, "all") and (scenario.short or not options.short)
                    and not (scenario.terminal and options.headless)
                    and (not options.scenario or any(fnmatch.fnmatch(scenario.name, name) for name in options.scenario))):
                yield scenario


def find_binary(named):
    places = [named] if named else [f"{REPOSITORY}/target/{kind}/tallyhook" for kind in ("release", "debug")]
    found = next((os.path.realpath(place) for place in places if os.access(place, os.X_OK)), None)
    if not found:
        sys.exit(f"no tallyhook at {' or '.join(places)}: build it with `cargo build --locked`")
    print(f"tallyhook: {found}")
    return found


def play(scenario, folder, claude, binary, keep):
    """Plays one scenario in `folder` and returns its world and how many seconds it took."""
    started = time.monotonic()
    with MockApi(scenario.scripts) as api:
        world = World(folder, api, claude, binary, scenario.cut_short)
        try:
            scenario.prepare(world)
            scenario.play(world)
            scenario.verify(world)
        except Exception as error:  # Whatever it is, the other scenarios are played.
            where = ", ".join(f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-3:])
            world.problems.append(f"{type(error).__name__}: {error} (at {where})")
        finally:
            scenario.clean_up(world)
            write(folder + "/answers.json", [vars(answer) for answer in api.answers])
    if not keep:
        remove(os.path.dirname(folder))
    return world, time.monotonic() - started


def remove(folder):
    """A client that was ended with its terminal writes on for a moment."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            return
        time.sleep(0.2)


def main():
    # To be ended cleans up like to be interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = arguments()
    scenarios = list(selected(options))
    if options.list:
        for scenario in scenarios:
            print(f"{scenario.suite}/{scenario.name}{'  (in a terminal)' if scenario.terminal else ''}")
        return 0
    needed = ["git"] + ["npm"] * (not options.client) + ["tmux"] * any(scenario.terminal for scenario in scenarios)
    missing = [tool for tool in needed if not shutil.which(tool)]
    for tool in missing:
        print(f"{tool} is missing: {HOW_TO_GET[tool]}", file=sys.stderr)
    if missing or not scenarios:
        print("nothing was played" + ("" if missing else ": no scenario is so named; see --list"), file=sys.stderr)
        return 2
    binary = find_binary(options.binary)
    lacking = {scenario.name: scenario.lacks() for scenario in scenarios}
    left_out = [f"{name} ({lack})" for name, lack in lacking.items() if lack]
    scenarios = [scenario for scenario in scenarios if not lacking[scenario.name]]
    passed, failed, outside = 0, [], set()
    root = os.path.realpath(tempfile.mkdtemp(prefix="tallyhook-e2e-"))
    try:
        claude = os.path.realpath(options.client) if options.client else client.install(options.client_version, options.cache or root)
        version = subprocess.run([claude, "--version"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": root})
        print(f"client: {claude}, {version.stdout.strip()}", flush=True)
        with ThreadPoolExecutor(options.jobs) as pool:
            # In short paths: sockets of terminals lie below.
            playing = [pool.submit(play, scenario, f"{root}/{number:03}/{scenario.name}", claude, binary, options.keep)
                       for number, scenario in enumerate(scenarios)]
            try:
                for scenario, future in zip(scenarios, playing):
                    world, seconds = future.result()
                    name = f"{scenario.suite}/{scenario.name}"
                    print(f"{'FAIL' if world.problems else 'ok  '}  {name:48} {seconds:5.1f} s  {'; '.join(world.notes)}")
                    for problem in world.problems:
                        print("      " + problem.replace("\n", "\n      "))
                    sys.stdout.flush()
                    passed, failed = passed + (not world.problems), failed + [name] * bool(world.problems)
                    outside.update(world.api.outside)
            finally:
                # After an interruption only those that play already are waited for.
                for future in playing:
                    future.cancel()
    finally:
        if options.keep:
            print(f"kept: {root}")
        else:
            remove(root)
    if outside:
        print(f"kept the client from reaching: {', '.join(sorted(outside))}")
    if left_out:
        print(f"{len(left_out)} left out: {'; '.join(left_out)}")
    if failed:
        print(f"failed: {' '.join(failed)}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
