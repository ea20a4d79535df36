"""Scenarios of check-budgets.sh, beside the harness's own (its scenarios.py says how a conversation is written).

Each has `limit` (tokens), `stop`, `expect` ("warned", "stopped", "lifted") and `most`: the requests that may be answered.
The budget is set by a SessionStart hook of the scenario, before our own, as a user would before he starts.
"""
from usual import ALL_EVENTS, P, QUIET, T, turn  # noqa: F401  (the driver reads the first three)

READ = T("Read", file_path=P + "/a.txt")
S = {}


def many(n):
    return [turn(f"Step {i}.", READ) for i in range(n)] + [turn("Done.")]


def scenario(name, scripts, runs, limit, expect, most, stop=True, **more):
    set_it = f"tallyhook budget set {limit} --tokens{' --stop' if stop else ''} --per {more.pop('per', 'session')} >/dev/null"
    again = more.pop("again", "true")
    once = f"if [ -e $TALLYHOOK_DB.set ]; then {again} >/dev/null; else touch $TALLYHOOK_DB.set; {set_it}; fi; exec tallyhook hook"
    hooks = {event: [{"command": "tallyhook hook", "timeout": 10}] for event in QUIET if event != "PreToolUse" or more.get("gate", True)}
    hooks["SessionStart"] = [{"command": once, "timeout": 10}]
    more.pop("gate", None)
    S[name] = dict(scripts=scripts, runs=runs, hooks=hooks, limit=limit, stop=stop, expect=expect, most=most, **more)


# The mock's first answer has some 18,250 tokens, each later one that much again and a little more.
scenario("warned", {"main": many(4)}, [dict(prompt="Go [[s:main]]")], 120_000, "warned", 5, stop=False)
scenario("stopped", {"main": many(8)}, [dict(prompt="Go [[s:main]]")], 70_000, "stopped", 4)
scenario("stopped-no-gate", {"main": many(8)}, [dict(prompt="Go [[s:main]]")], 70_000, "stopped", 4, gate=False)
scenario("parallel", {"main": [turn(*[T("Bash", command=f"sleep 0.{i}; echo {i}", description="B") for i in range(6)]) for _ in range(6)] + [turn("Done.")]},
         [dict(prompt="Go [[s:main]]")], 50_000, "stopped", 3)
scenario("subagent", {"main": [turn(T("Agent", description="Look", prompt="Look [[s:sub]]", subagent_type="general-purpose")),
                              turn("Go on.", READ), turn("Done.")], "sub": many(8)},
         [dict(prompt="Go [[s:main]]")], 90_000, "stopped", 5)
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
         [dict(prompt="Go [[s:main]]")], 900_000, "stopped", 1, gate=False)
