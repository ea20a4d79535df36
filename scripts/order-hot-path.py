"""Prints the functions that a binary runs for the example session, in the order of their first call, for the linker to put
side by side: build-release.sh calls it. The binary must have its symbols; needs valgrind and nm.
"""

import json, os, re, subprocess, sys, tempfile

binary = sys.argv[1]
examples = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../examples")


def read(name):
    with open(os.path.join(examples, name)) as file:
        return file.read()


payloads = read("session/payloads.jsonl").replace("@PROJECTS@", os.path.abspath(examples + "/session/projects")).splitlines()
runs = [("hook", payload) for payload in payloads] + [("statusline", read("statusline.json"))]
# Nothing else runs as often as the hook after a tool, so what it calls comes first.
runs.sort(key=lambda run: '"PostToolUse"' not in run[1])
defined = subprocess.run(["nm", binary], capture_output=True, text=True, check=True).stdout
known = {words[-1] for words in map(str.split, defined.splitlines()) if words[-2] in "tTwWi"}
order = {}
with tempfile.TemporaryDirectory() as work:
    env = {"HOME": work, "TALLYHOOK_DB": f"{work}/ledger.db", "PATH": os.environ["PATH"]}
    # Makes the ledger, which no later hook does.
    subprocess.run([binary, "hook"], input=payloads[0], env=env, text=True, check=True)
    for command, payload in runs:
        subprocess.run(
            ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={work}/trace", binary, command],
            input=payload, env=env, capture_output=True, text=True, check=True)
        with open(f"{work}/trace", errors="replace") as trace:
            for found in re.finditer(r"^c?fn=\(\d+\) (\S+)", trace.read(), re.MULTILINE):
                name = found.group(1).split("'")[0]
                if name in known:
                    order.setdefault(name)
print("\n".join(order))
