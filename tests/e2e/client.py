"""The real Claude Code: where it comes from, and how it is run headless."""
import json
import os
import platform
import shutil
import subprocess
import threading

PACKAGE = "@anthropic-ai/claude-code"
# An invented key. The client asks about keys that it has not seen, so settings name its last 20 characters as approved.
KEY = "sk-ant-api03-invented-key-for-a-mock-on-loopback-000000000000"


def install(version, folder):
    """Installs the client's binary from npm below `folder`, unless that version is there, and returns its path."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if not system or not machine:
        raise SystemExit(f"Claude Code's package has no binary for {platform.system()} {platform.machine()} that this can run")
    musl = "-musl" if system == "linux" and not platform.libc_ver()[0] else ""
    package = f"{PACKAGE}-{system}-{machine}{musl}"
    if version == "latest":
        version = subprocess.run(["npm", "view", PACKAGE, "version"], check=True, capture_output=True, text=True).stdout.strip()
    prefix = os.path.join(folder, version)
    binary = os.path.join(prefix, "node_modules", package, "claude")
    if os.path.exists(binary):
        print(f"client: {binary}, which an earlier run installed")
        return binary
    print(f"client: installing {package} {version} (about 400 MB) from npm into {prefix}", flush=True)
    # The native binary alone: no install script is run, and no Node.js is needed to run it.
    done = subprocess.run(["npm", "install", "--prefix", prefix, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
                           f"{package}@{version}"], capture_output=True, text=True)
    if done.returncode != 0 or not os.path.exists(binary):
        shutil.rmtree(prefix, ignore_errors=True)
        raise SystemExit(f"npm could not install {package} {version}:\n{done.stderr}")
    return binary


def client_state(projects):
    """What the client remembers after its first run: the key is known, the projects are trusted."""
    return {"hasCompletedOnboarding": True, "theme": "dark", "numStartups": 3, "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
            "projects": {path: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True} for path in projects}}


class Headless:
    """A run of `claude -p` with its prompts in turn: one is an argument, several are written to its standard input, each after
    the result of the one before."""

    def __init__(self, command, prompts, cwd, env, timeout):
        options = ["-p", *command[1:], "--output-format", "stream-json", "--verbose"]
        waiting = []
        if len(prompts) == 1:
            options.append(prompts[0])
        else:
            options += ["--input-format", "stream-json"]
            waiting += prompts
        process = subprocess.Popen([command[0], *options], cwd=cwd, env=env, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        self.output, lines = [], []

        def go_on():
            if waiting:
                message = {"role": "user", "content": waiting.pop(0)}
                process.stdin.write(json.dumps({"type": "user", "message": message}) + "\n")
                process.stdin.flush()
            elif not process.stdin.closed:
                process.stdin.close()

        go_on()
        for line in process.stdout:
            self.output.append(line)
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
            if lines[-1].get("type") == "result":
                go_on()
        self.code = process.wait()
        killer.cancel()
        self.session = next((line["session_id"] for line in lines if line.get("session_id")), None)
        self.results = [line for line in lines if line.get("type") == "result"]
