"""What is counted: every kind of tool, subagent, compaction and failure, headless and in a terminal."""
import time

from ledger import check_totals
from mock_api import call, think, turn
from scenarios import suite, with_init, with_plugin
from world import EVENTS

counts = suite("counts", prepare=with_init, verify=check_totals)

READ = call("Read", file_path="a.txt")
ONE = [turn("I'll read it.", READ), turn("Done.")]


def bash(command, **options):
    return call("Bash", command=command, description="Run it", **options)


def agent(script, kind="general-purpose", **options):
    return call("Agent", description="Look", prompt=f"Look [[s:{script}]]", subagent_type=kind, **options)


def for_user(world):
    """Registers the hook for all projects."""
    world.tallyhook("init", "--scope", "user", "--no-import", "--no-statusline")


TOOLS = {"main": [
    turn(think("First the small file."), "I'll read the file first.", READ),
    turn(call("Read", file_path="src/lib.rs", offset=10, limit=20), *(call("Read", file_path=name) for name in (
        "image.png", "notebook.ipynb", "document.pdf"))),
    turn(call("Write", file_path="new.md", content="# New\n\nüñïcode ✓\n")),
    turn(call("Write", file_path="new.md", content="# Newer\n\nline\n"),
         call("Edit", file_path="a.txt", old_string="two", new_string="2")),
    turn(call("Edit", file_path="src/lib.rs", old_string="value", new_string="val", replace_all=True)),
    turn(call("NotebookEdit", notebook_path="notebook.ipynb", cell_id="c1", new_source="print(2)")),
    turn(bash("ls -1 && git status --short | head -3")),
    turn(bash("echo out; echo err >&2; exit 3")),
    turn(bash("sleep 0.5; echo later", run_in_background=True)),
    turn(bash("sleep 2; seq 1 20000")),
    turn(call("WebFetch", url="http://127.0.0.1:9/x", prompt="Summarize")),
    turn(call("Read", file_path="missing.txt"), call("Edit", file_path="a.txt", old_string="nowhere", new_string="x")),
    turn(call("NoSuchTool", file_path="a.txt")),
    turn(call("Skill", skill="greet", args="world")),
    turn(READ, READ),
    turn("All tools were used. Über-final answer."),
]}


@counts(TOOLS, short=True)
def tools(world):
    world.env["ENABLE_TOOL_SEARCH"] = "false"
    world.prompt("Use every tool", script="main")


@counts(TOOLS, prepare=with_plugin)
def plugin(world):
    tools(world)


@counts({"main": ONE}, prepare=for_user)
def user_settings(world):
    world.prompt("Go", script="main", cwd=world.project + "/other")


@counts(TOOLS, prepare=lambda world: world.hooks(EVENTS, "tallyhook hook"))
def every_event(world):
    tools(world)


@counts({"main": [
    turn(call("Grep", pattern="fn", path="src")),
    turn(call("Grep", pattern="fn", output_mode="content", head_limit=5), call("Grep", pattern="fn", output_mode="count")),
    turn(call("Glob", pattern="**/*.txt")),
    turn(call("TodoWrite", todos=[{"content": "First", "status": "in_progress", "activeForm": "Doing the first"}])),
    turn(call("TaskCreate", subject="First", description="The first", activeForm="Doing it")),
    turn(call("TaskUpdate", taskId="1", status="in_progress"), call("TaskGet", taskId="1"), call("TaskList")),
    turn(call("TaskUpdate", taskId="1", status="completed")),
    turn("Searched."),
]})
def search_and_tasks(world):
    world.env["ENABLE_TOOL_SEARCH"] = "false"
    world.prompt("Search", "--model", "claude-sonnet-4-5", script="main")


@counts({"main": [
    turn(*(call("Read", file_path=f"f{number}.txt") for number in range(6))),
    turn(*(bash(f"sleep 0.2; echo {number}") for number in range(3))),
    turn(call("Edit", file_path="f0.txt", old_string="file 0", new_string="FILE 0"),
         call("Edit", file_path="f1.txt", old_string="file 1", new_string="FILE 1", replace_all=True)),
    turn("Parallel calls are done."),
]})
def parallel_calls(world):
    world.prompt("Go", script="main")


@counts({"main": [
    turn(call("ToolSearch", query="select:" + ",".join(f"mcp__mini__{name}" for name in ("echo", "structured", "fail", "picture")))),
    turn(call("mcp__mini__echo", text="hello")),
    turn(call("mcp__mini__structured"), call("mcp__mini__picture")),
    turn(call("mcp__mini__fail")),
    turn("MCP is done."),
]})
def mcp(world):
    world.mcp()
    world.prompt("Use MCP", script="main")


@counts({"command": ONE, "skill": [turn("The skill ran.")]})
def commands(world):
    world.prompt("/hello big world", script="command")
    world.prompt("/greet moon", script="skill")
    world.prompt("/cost")


@counts({"main": [turn(bash("touch made.txt")), turn(call("Read", file_path="secret.txt")), turn(bash("rm a.txt")),
                  turn("I was refused.")]})
def denied(world):
    world.options = ["--permission-mode", "default"]
    world.settings(permissions={"deny": ["Read(./secret.txt)", "Bash(rm:*)"]})
    world.prompt("Try", script="main")


@counts({"one": ONE, "two": ONE, "three": [turn("Third answer.")]})
def several_prompts_in_one_process(world):
    world.prompt([f"Go [[s:{script}]]" for script in ("one", "two", "three")])


@counts({
    "main": [turn("I'll delegate.", agent("one", run_in_background=False)), turn(agent("two", "reviewer", run_in_background=False)),
             turn(agent("three", run_in_background=False), agent("four", run_in_background=False)), turn("Agents are done.")],
    "one": [turn(READ), turn(bash("echo agent")), turn("Report one.")], "two": [turn(READ), turn("Report two.")],
    "three": [turn(bash("echo three")), turn("Report three.")], "four": [turn(bash("echo four")), turn("Report four.")],
})
def agents(world):
    world.prompt("Go", script="main")


@counts({"main": [turn(agent("slow", run_in_background=True)), turn("It runs."), turn("It has ended.")],
         "slow": [turn(bash("sleep 2; echo slow")), turn("Late report.")]})
def agent_in_background(world):
    world.prompt("Go", script="main")


@counts({"main": [turn(agent("middle", run_in_background=False)), turn("Done.")],
         "middle": [turn(READ), turn(agent("deep", run_in_background=False)), turn("Middle report.")],
         "deep": [turn(READ), turn(bash("echo deep")), turn("Deep report.")]})
def agents_nested(world):
    world.prompt("Go", script="main")


@counts({"one": ONE, "two": [turn(bash("echo two")), turn("Second part.")], "three": [turn("Third part.")]})
def resume(world):
    first = world.prompt("Start", script="one")
    world.prompt("Again", "--resume", first.session, script="two")
    # An import between two runs learns first what the hooks will meet again.
    world.tallyhook("import")
    world.prompt("More", "--continue", script="three")


@counts({"one": ONE, "two": [turn("After compaction.")], "three": [turn("And on.")]})
def compact_by_hand(world):
    session = world.prompt("Start", script="one").session
    world.prompt("/compact keep the names of files", "--resume", session)
    world.prompt("Next", "--resume", session, script="two")
    world.prompt("/compact", "--resume", session)
    world.prompt("Next", "--resume", session, script="three")


FULL = {"cache_read_input_tokens": 185_000, "cache_creation_input_tokens": 3_000, "output_tokens": 900,
        "cache_creation": {"ephemeral_5m_input_tokens": 3_000, "ephemeral_1h_input_tokens": 0}}


@counts({"main": [turn(READ), turn("That was long.", READ, usage=FULL)], "after-compact": [turn("Going on."), turn("Going on.")]})
def compact_by_itself(world):
    world.env["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] = "200000"
    world.prompt("Go", script="main")
    world.check("compactions", sum(answer.kind == "compact" for answer in world.api.answers), 1)


@counts({"main": [turn("Slowly.", call("Read", file_path="a.txt"), call("Read", file_path="f1.txt"), gap_ms=900), turn("Done.")]})
def slow_stream(world):
    world.prompt("Go", script="main")


@counts({"main": [turn(READ), turn(error=400)]})
def api_error(world):
    world.prompt("Go", script="main", code=1)


@counts({"main": [turn(READ, fails=2), turn("Done.", fails=1)]})
def overloaded_then_answered(world):
    world.prompt("Go", script="main")


@counts({"main": [turn(READ), turn("A first part.", "And a second.", READ, cut=2), turn("Done.")]})
def stream_that_breaks(world):
    world.prompt("Go", script="main")


HOUR = {"cache_creation_input_tokens": 9_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 7_000}}
SEARCHES = {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0}}


@counts({"main": [turn(READ, usage=HOUR), turn("Done.", usage=SEARCHES)]})
def cache_writes_and_web_searches(world):
    world.prompt("Go", script="main")


@counts({"one": ONE, "two": ONE})
def another_model_after_resume(world):
    session = world.prompt("Go", script="one").session
    world.prompt("Go on", "--resume", session, "--model", "claude-haiku-4-5", script="two")


# In a terminal.

@counts({"one": ONE, "two": [turn("Second answer.")], "three": [turn(bash("echo three")), turn("Third answer.")]},
        terminal=True, short=True)
def terminal(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.say("Again", "two")
        tty.command("/compact")
        tty.say("After it", "three")
        tty.leave()


@counts({"one": ONE, "two": ONE, "three": [turn("A third session.")]}, terminal=True)
def clear(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.command("/clear")
        tty.say("In a new session", "two")
        tty.command("/clear")
        tty.say("And another", "three")
        tty.leave()


@counts({"one": ONE, "two": [turn("A new session.")]}, terminal=True)
def compact_then_clear(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.command("/compact")
        tty.command("/clear")
        tty.say("In a new session", "two")
        tty.leave()


@counts({"one": ONE, "two": [turn("Another session.")], "three": [turn("Again.")]}, terminal=True)
def compact_then_resume_another(world):
    other = world.prompt("Start", script="two").session
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.command("/compact")
        tty.command(f"/resume {other}")
        tty.say("Go on", "three")
        tty.leave()


@counts({"one": ONE, "two": [turn("On the branch.")]}, terminal=True)
def compact_then_branch(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.command("/compact")
        tty.command("/branch")
        tty.say("Other", "two")
        tty.leave()


@counts({"one": [turn(READ), turn("Wait.", bash("sleep 60")), turn("Never said.")], "two": [turn("Second answer.")]},
        terminal=True, cut_short={"one"})
def interrupted_tool(world):
    with world.terminal() as tty:
        tty.send("Start", "one")
        tty.wait("the second request", lambda: len(world.api.answers) == 2)
        time.sleep(2)
        tty.key("Escape")
        tty.settle()
        tty.say("Go on", "two")
        tty.leave()


@counts({"one": [turn(READ), turn("A first part.", "And a second.", gap_ms=60_000)], "two": [turn("Second answer.")]}, terminal=True)
def interrupted_stream(world):
    with world.terminal() as tty:
        tty.send("Start", "one")
        tty.wait("the second request", lambda: len(world.api.answers) == 1 and world.api.under_way == 1)
        time.sleep(2)
        tty.key("Escape")
        tty.settle()
        tty.say("Go on", "two")
        tty.leave()


@counts({"one": [turn(READ), turn("Wait.", bash("sleep 60")), turn("Never said.")]}, terminal=True, cut_short={"one"})
def hang_up(world):
    with world.terminal() as tty:
        tty.send("Start", "one")
        tty.wait("the second request", lambda: len(world.api.answers) == 2)
        time.sleep(2)
        tty.hang_up()


@counts({"one": [turn(bash("touch made.txt")), turn("It was allowed.")], "two": [turn(bash("touch made-too.txt"))]}, terminal=True)
def permission_dialog(world):
    world.options = ["--permission-mode", "default"]
    with world.terminal() as tty:
        tty.send("Make it", "one")
        tty.wait_for("Do you want to proceed?")
        tty.settle()
        tty.key("Enter")
        tty.wait("the end", lambda: world.api.is_done("one", 0))
        tty.settle()
        tty.send("And another", "two")
        tty.wait_for("Do you want to proceed?")
        tty.settle()
        tty.key("Escape")
        tty.settle()
        tty.leave()


@counts({"one": [turn(READ), turn(error=400)], "two": [turn("It works again.")]}, terminal=True)
def api_error_in_terminal(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.say("Again", "two")
        tty.leave()


@counts({"one": [turn(agent("slow", run_in_background=True)), turn("It runs."), turn("It has ended.")],
         "slow": [turn(bash("sleep 3; echo slow")), turn("Late report.")], "two": [turn("Meanwhile.")]}, terminal=True)
def agent_in_background_in_terminal(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.say("And", "two")
        tty.leave()


@counts({"one": ONE, "aside": [turn("By the way.")], "two": [turn("Second answer.")]}, terminal=True)
def btw(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.say("/btw what?", "aside")
        tty.key("Escape")
        tty.say("Go on", "two")
        tty.leave()


@counts({"one": ONE, "two": ONE, "three": [turn("From elsewhere.")]}, terminal=True, prepare=for_user)
def cd(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.command(f"/cd {world.project}/other")
        tty.say("Go on", "two")
        tty.command(f"/cd {world.elsewhere}")
        tty.say("Go on", "three")
        tty.leave()


@counts({"one": ONE, "two": [turn("Second.")], "three": [turn("Third.")], "four": [turn("Fourth.")]}, terminal=True)
def resume_inside_a_terminal(world):
    other = world.prompt("Start", script="one").session
    with world.terminal() as tty:
        tty.say("Start", "two")
        tty.command(f"/resume {other}")
        tty.say("Go on", "three")
        tty.command("/clear")
        tty.command(f"/resume {other}")
        tty.say("Go on", "four")
        tty.leave()


@counts({"one": ONE, "two": ONE, "three": [turn("In its place.")]}, terminal=True)
def rewind(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.say("Go on", "two")
        tty.command("/rewind")
        tty.key("Up", "Enter")
        tty.settle()
        tty.key("Enter")
        tty.settle()
        tty.key("C-u")
        tty.say("Instead", "three")
        tty.leave()


@counts({"one": ONE, "two": ONE}, terminal=True)
def another_model_in_terminal(world):
    with world.terminal() as tty:
        tty.say("Start", "one")
        tty.command("/model sonnet")
        tty.key("Enter")
        tty.settle()
        tty.say("Go on", "two")
        tty.leave()
