"""The tracing part of order-hot-path.sh: runs each binary on payloads under callgrind and prints what it called."""

import json, os, re, subprocess, sys

work, binaries = sys.argv[1], sys.argv[2:]
SESSION = "00000000-0000-4000-8000-000000000001"
TEXT = "".join(f"    let value_{n} = compute(&input[{n}..], config.max_depth)?; // Ünïcode stays\n" for n in range(120))
TRANSCRIPT = os.path.join(work, SESSION + ".jsonl")
EDIT = {"filePath": work + "/a.rs", "oldString": "value_7", "newString": "seventh", "originalFile": TEXT,
        "structuredPatch": [{"oldStart": 7, "oldLines": 1, "newStart": 7, "newLines": 1, "lines": ["-a", "+b"]}]}
READ = {"type": "text", "file": {"filePath": work + "/a.rs", "content": TEXT, "numLines": 120, "startLine": 1,
                                 "totalLines": 120}}


def payload(event, **more):
    return json.dumps({"session_id": SESSION, "transcript_path": TRANSCRIPT, "cwd": work, "prompt_id": "p1",
                       "hook_event_name": event, **more})


def tool(name, call, tool_input, response):
    return payload("PostToolUse", tool_name=name, tool_use_id=call, tool_input=tool_input, tool_response=response,
                   duration_ms=12)


def line(number):
    return json.dumps({"type": "assistant", "sessionId": SESSION, "uuid": f"u{number}", "requestId": f"r{number}",
                       "timestamp": f"2026-11-22T10:00:{number:02}.000Z", "cwd": work, "version": "2.1.330", "message": {
                           "id": f"m{number}", "model": "claude-opus-5", "role": "assistant", "stop_reason": "tool_use",
                           "content": [{"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {"file_path": "a"}}],
                           "usage": {"input_tokens": 3, "output_tokens": 90, "cache_read_input_tokens": 900 * number,
                                     "cache_creation_input_tokens": 800}}}) + "\n"


def events(round_number):
    """Tool calls come first: nothing else runs as often."""
    yield ["hook"], tool("Read", f"t{round_number}", {"file_path": work + "/a.rs"}, READ)
    yield ["hook"], tool("Bash", f"b{round_number}", {"command": "ls -l"}, {"stdout": TEXT, "stderr": ""})
    yield ["hook"], tool("Edit", f"e{round_number}", {"file_path": "a.rs", "old_string": "a", "new_string": "b"}, EDIT)
    yield ["hook"], payload("PostToolBatch", tool_calls=[{"tool_name": "Read", "tool_use_id": f"t{round_number}",
                                                          "tool_input": {}, "tool_response": TEXT}])
    yield ["hook"], payload("UserPromptSubmit", prompt="go on")
    with open(TRANSCRIPT, "a") as file:
        file.write(line(round_number))
    yield ["hook"], payload("Stop")
    yield ["statusline"], json.dumps({"session_id": SESSION, "transcript_path": TRANSCRIPT, "cwd": work,
                                      "model": {"id": "claude-opus-5"}, "cost": {"total_cost_usd": 0.1}})


def called(binary, number):
    """Names of the binary's functions by the first call of each, over all events."""
    known = {words[-1] for words in map(str.split, subprocess.run(
        ["nm", binary], capture_output=True, text=True, check=True).stdout.splitlines()) if words[-2] in "tTwWi"}
    env = dict(os.environ, HOME=work, XDG_CONFIG_HOME=work, TALLYHOOK_DB=f"{work}/{number}.db")
    names = {}
    # The first round makes the ledger, which no later hook does.
    for round_number in range(1, 4):
        for arguments, stdin in events(round_number):
            trace = f"{work}/trace"
            subprocess.run(["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={trace}", binary,
                            *arguments], input=stdin, env=env, capture_output=True, text=True, check=True)
            if round_number == 1:
                continue
            with open(trace, errors="replace") as file:
                for found in re.finditer(r"^c?fn=\(\d+\) (\S+)", file.read(), re.MULTILINE):
                    name = found.group(1).split("'")[0]
                    if name in known:
                        names.setdefault(name)
    return names


order = {}
for number, binary in enumerate(binaries):
    order.update(called(binary, number))
print("\n".join(order))
