"""A terminal with the client in it, by tmux: keys go in, screens come out."""
import shlex
import subprocess
import time

STEP = 0.1


class Terminal:
    """Runs `command` in a terminal of its own. The context ends it, with what is left of the client."""

    def __init__(self, command, cwd, env, socket, api):
        self.api, self.tmux = api, ["tmux", "-u", "-S", socket, "-f", "/dev/null"]
        self.env, self.pages = env, []
        words = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), *command]
        self.run("new-session", "-d", "-s", "e2e", "-x", "180", "-y", "60", "-c", cwd, " ".join(map(shlex.quote, words)))

    def __enter__(self):
        # A prompt is taken once the screen stands still.
        self.wait("the client's prompt", lambda: "❯" in self.screen(), 60)
        self.settle()
        return self

    def __exit__(self, *_):
        self.pages.append(self.screen())
        self.run("kill-server")

    def run(self, *words):
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, env=self.env).stdout

    def screen(self):
        """The text on the screen, without the empty lines at its end."""
        return self.run("capture-pane", "-p", "-J", "-t", "e2e").rstrip()

    def wait(self, what, condition, seconds=30):
        ends = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError(f"{what} did not come within {seconds} s; the screen:\n{self.screen()}")
            time.sleep(STEP)

    def wait_for(self, text, seconds=30):
        self.wait(f"{text!r}", lambda: text in self.screen(), seconds)

    def settle(self, seconds=1.5, at_most=60):
        """Waits until nothing moves: no request is under way, and the screen has stood still for `seconds`."""
        # The mark before a tool that waits for leave blinks.
        last, since = self.screen().replace("●", " "), time.monotonic()
        ends = since + at_most
        while time.monotonic() - since < seconds and time.monotonic() < ends:
            time.sleep(STEP)
            screen = self.screen().replace("●", " ")
            if screen != last or self.api.under_way:
                last, since = screen, time.monotonic()
        self.pages.append(last)

    def type(self, text):
        self.run("send-keys", "-t", "e2e", "-l", text)
        time.sleep(0.5)

    def key(self, *names):
        for name in names:
            self.run("send-keys", "-t", "e2e", name)
            time.sleep(0.3)

    def command(self, text):
        """Types a line, sends it, and waits until nothing moves."""
        self.send(text)
        self.settle()

    def send(self, text, script=None):
        self.type(f"{text} [[s:{script}]]" if script else text)
        self.key("Enter")

    def say(self, text, script):
        """Sends a prompt and waits until its script was played to the end."""
        since = len(self.api.answers)
        self.send(text, script)
        self.wait(f"the end of {script}", lambda: self.api.is_done(script, since))
        self.settle()

    def leave(self):
        """Ends the client by its own command, and waits until it has ended."""
        self.send("/exit")
        self.wait("the client's end", self.has_ended, 20)

    def hang_up(self):
        """Closes the terminal under the client."""
        self.run("kill-session", "-t", "e2e")
        time.sleep(3)

    def has_ended(self):
        return subprocess.run([*self.tmux, "has-session", "-t", "e2e"], capture_output=True, env=self.env).returncode != 0
