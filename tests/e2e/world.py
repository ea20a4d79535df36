"""A machine of its own for one scenario: a home, a project, an environment, the mock, and what is played there."""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib

from client import KEY, Headless, client_state
from terminal import Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
# All events of the client but WorktreeCreate, which takes the place of what the client does by itself.
EVENTS = ("PreToolUse PostToolUse PostToolUseFailure PostToolBatch Notification UserPromptSubmit UserPromptExpansion SessionStart "
          "SessionEnd Stop StopFailure SubagentStart SubagentStop PreCompact PostCompact PreModelSwitch PostModelSwitch "
          "PermissionRequest PermissionDenied Setup TeammateIdle TaskCreated TaskCompleted Elicitation ElicitationResult "
          "ConfigChange InstructionsLoaded CwdChanged FileChanged DirectoryAdded MessageDisplay").split()
REPOSITORY = os.path.dirname(os.path.dirname(HERE))


class World:
    """What a scenario plays with. `check` notes what is not as it should be.

    home       the user's, with the client's own folder in it
    project    a Git repository with tallyhook's settings
    elsewhere  another folder that the client trusts
    ledger     where tallyhook makes it by itself
    options    given to each client
    cut_short  scripts that are not played to their ends
    """

    def __init__(self, folder, api, claude, tallyhook, cut_short=()):
        self.folder, self.api, self.claude, self.binary, self.cut_short = folder, api, claude, tallyhook, cut_short
        self.home, self.project, self.elsewhere, self.bin, temporary = (
            os.path.join(folder, name) for name in ("home", "project", "elsewhere", "bin", "tmp"))
        self.ledger = os.path.join(self.home, ".local/share/tallyhook/ledger.db")
        self.problems, self.notes, self.headless, self.terminals = [], [], [], []
        self.options = ["--dangerously-skip-permissions"]
        for path in (self.home, self.elsewhere, self.bin, temporary):
            os.makedirs(path)
        make_project(self.project)
        os.symlink(tallyhook, os.path.join(self.bin, "tallyhook"))
        write(self.home + "/.claude.json", client_state([self.project, self.elsewhere]))
        write(self.home + "/.claude/settings.json", {"skipDangerousModePermissionPrompt": True})
        tools = [os.path.dirname(tool) for tool in (shutil.which("git"), shutil.which("tmux"), sys.executable) if tool]
        self.env = {"PATH": os.pathsep.join(dict.fromkeys([self.bin, *tools, "/usr/bin", "/bin"])),
                    "HOME": self.home, "TMPDIR": temporary, "SHELL": "/bin/bash", "LANG": "C.UTF-8", "TERM": "xterm-256color", "TZ": "UTC",
                    "ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": KEY, "IS_SANDBOX": "1", "DISABLE_AUTOUPDATER": "1",
                    "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                    # Whatever would leave this machine goes to the mock as a proxy, which refuses it.
                    "HTTPS_PROXY": api.url, "HTTP_PROXY": api.url, "http_proxy": api.url, "NO_PROXY": "127.0.0.1"}

    def settings(self, **members):
        """Adds members to the project's settings."""
        path = self.project + "/.claude/settings.json"
        write(path, {**(json.load(open(path)) if os.path.exists(path) else {}), **members})

    def hooks(self, events, command):
        """Registers a command for events."""
        hook = {"type": "command", "command": command, "timeout": 10}
        self.settings(hooks={event: [{"hooks": [hook]}] for event in events})

    def plugin(self):
        """Has the client load this repository as a plugin."""
        self.options += ["--plugin-dir", REPOSITORY]

    def mcp(self):
        """Has the client start our small MCP server, `mini`."""
        path = self.folder + "/mcp.json"
        write(path, {"mcpServers": {"mini": {"command": "python3", "args": [HERE + "/mcp_server.py"]}}})
        self.options += ["--mcp-config", path, "--strict-mcp-config"]

    def prompt(self, text, *options, script=None, cwd=None, timeout=120, code=0):
        """Runs the client headless with a prompt, or a list of prompts, and returns the run. `code`: its exit code, None: any."""
        texts = [text] if isinstance(text, str) else text
        texts = [f"{text} [[s:{script}]]" if script else text for text in texts]
        run = Headless([self.claude, *self.options, *options], texts, cwd or self.project, self.env, timeout)
        self.headless.append(run)
        write(f"{self.folder}/headless-{len(self.headless)}.jsonl", "".join(run.output))
        if not run.session:
            self.problems.append(f"the client said: {''.join(run.output)[:2000]}")
        elif code is not None:
            self.check("the client's exit code", run.code, code)
        return run

    def terminal(self, *options, cwd=None):
        """Starts the client in a terminal."""
        # A socket's path has to be short.
        socket = os.path.join(os.path.dirname(self.folder), f"t{len(self.terminals)}")
        terminal = Terminal([self.claude, *self.options, *options], cwd or self.project, self.env, socket, self.api)
        self.terminals.append(terminal)
        return terminal

    def tallyhook(self, *words, ledger=None):
        """Runs tallyhook in the project and returns what it printed; a failure is a problem."""
        where = ["--db", ledger] if ledger else []
        done = subprocess.run([self.bin + "/tallyhook", *where, *words], cwd=self.project, env=self.env, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60)
        if done.returncode not in (0, 4):
            self.problems.append(f"tallyhook {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def ask(self, *words, ledger=None):
        """Runs tallyhook and returns its JSON, or nothing."""
        try:
            return json.loads(self.tallyhook(*words, "--json", ledger=ledger))
        except ValueError:
            return {}

    def said(self, text):
        """How often the user has read a text: in what headless runs printed, and on one screen of each terminal.

        A screen is read without its line breaks and the marks of continued lines.
        """
        times = sum("".join(run.output).count(text) for run in self.headless)
        for terminal in self.terminals:
            pages = (re.sub(r"[\s\u2500-\u257f]+", " ", page) for page in terminal.pages)
            times += max((page.count(text) for page in pages), default=0)
        return times

    def check(self, what, have, want):
        if have != want:
            self.problems.append(f"{what}: {have}, expected {want}")


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content, indent=2)
    with open(path, "wb" if isinstance(content, bytes) else "w") as file:
        file.write(content)


def picture(width, height):
    """A PNG."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"".join(bytes((x * 7 % 256, y * 5 % 256, 90)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Resources<<>>>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""
NOTEBOOK = {"cells": [{"cell_type": "code", "id": "c1", "metadata": {}, "execution_count": 1, "source": ["print(1)"],
                       "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}]}],
            "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def make_project(folder):
    """A Git repository with a file of each kind that tools read, an agent, skills and a command."""
    files = {
        "a.txt": "one\ntwo\nthree\n",
        "secret.txt": "secret\n",
        **{f"f{number}.txt": f"file {number}\n" * (10 * number + 1) for number in range(6)},
        "src/lib.rs": "".join(f"/// Doc {n}\nfn f{n}(value: u32) -> u32 {{\n    value + {n}\n}}\n\n" for n in range(12)),
        "image.png": picture(64, 48),
        "document.pdf": PDF,
        "notebook.ipynb": NOTEBOOK,
        "CLAUDE.md": "# Rules\n\nBe brief.\n",
        ".claude/agents/reviewer.md": "---\nname: reviewer\ndescription: Reviews\ntools: Read, Bash\nmodel: sonnet\n---\nReview.\n",
        ".claude/skills/greet/SKILL.md": "---\nname: greet\ndescription: Greets someone\n---\nGreet $ARGUMENTS.\n",
        ".claude/commands/hello.md": "---\ndescription: Say hello\n---\nHello to $ARGUMENTS.\n",
        "other/b.txt": "four\n",
    }
    for name, content in files.items():
        write(os.path.join(folder, name), content)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "A project"]):
        subprocess.run(["git", "-C", folder, "-c", "user.email=dev@example.com", "-c", "user.name=dev", *words], check=True,
                       env={"PATH": os.environ["PATH"], "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"})
