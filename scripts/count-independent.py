#!/usr/bin/env python3
"""Counts tokens and cost of Claude Code's transcripts. It shares no line with tallyhook, so that the two can be
compared (check-counts.sh): the rules are those of docs/facts.md#transcripts and docs/facts.md#prices, named where they are applied.

  scripts/count-independent.py [--prices FILE] [--responses] PATH...

PATH is a transcript or a folder; every *.jsonl below a folder is read, whatever its name and depth. One JSON object
goes to stdout; with --responses a line for each response goes before it. Money is whole pico-dollars (1 USD = 10^12).
FILE is a table of prices in the form of crates/prices/prices.toml, which is the default.
Python 3.11, standard library only.
"""
import argparse, json, math, os, re, sys, tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fractions import Fraction
from typing import NamedTuple

sys.setrecursionlimit(20_000)  # tool inputs may be nested deeply
PRICES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../crates/prices/prices.toml")

MAIN, SIDECHAIN, ECHO = range(3)  # the sources of a record, the best first
NEVER = math.inf
BELIEVABLE = 10**12  # tokens; what is more is no count


# --- values, as odd as they come ---------------------------------------------------------------------------------

def count(value):
    """A whole number from 0 on. docs/facts.md#late-and-damaged-lines: -1, 1e3, 2^64, "5" and null occur, and must lose no more than themselves."""
    if isinstance(value, str):
        try:
            value = float(value) if re.search("[.eE]", value) else int(value)
        except ValueError:
            return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < BELIEVABLE:
        return 0
    return int(value)


def name(value):
    """An id or a name; None if there is none."""
    return value if isinstance(value, str) and value.strip() else None


def obj(value):
    """An object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def time(value):
    """Milliseconds since 1970; None if it is no time."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() * 1000)


def day(at, undated="(none)"):
    return undated if at is None else datetime.fromtimestamp(at / 1000, timezone.utc).strftime("%Y-%m-%d")


class Usage(NamedTuple):
    """The classes that are priced apart. No token is in two of them."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    web_searches: int = 0

    def plus(self, other):
        return Usage(*map(sum, zip(self, other)))

    def minus(self, other):
        return Usage(*(a - b for a, b in zip(self, other)))

    @property
    def writes(self):
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def prompt(self):
        return self.input_tokens + self.cache_read_tokens + self.writes

    @classmethod
    def of(cls, usage):
        """`message.usage`, or one of its iterations. docs/facts.md#what-changes-the-bill: writes that the split leaves out are 5 m."""
        split = obj(usage.get("cache_creation"))
        short, long = (count(split.get(f"ephemeral_{kind}_input_tokens")) for kind in ("5m", "1h"))
        short = max(short, count(usage.get("cache_creation_input_tokens")) - long)
        searches = count(obj(usage.get("server_tool_use")).get("web_search_requests"))
        return cls(count(usage.get("input_tokens")), count(usage.get("output_tokens")),
                   count(usage.get("cache_read_input_tokens")), short, long, searches)


class Requests(NamedTuple):
    """What a response bills. The API's pages on compaction, the advisor tool and fallback say of `usage.iterations`:
    each is a request; a compaction and an advisor are in no other number; an attempt that was declined is billed only if
    it had written something; the counts beside the list are the sum, or have the first request's prompt alone."""
    own: list  # usage of each request
    client: Usage  # what the client adds to its own total: the counts beside the list
    beside: list  # kind, model, usage: billed under other models' names

    @classmethod
    def of(cls, usage, model):
        def counts(one):
            return (one.input_tokens, one.output_tokens, one.cache_read_tokens, one.writes)

        def total(many):
            return Usage(*map(sum, zip(Usage(), *many)))

        whole = Usage.of(usage)
        entries = usage.get("iterations")
        entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        used = [Usage.of(entry)._replace(web_searches=0) for entry in entries]
        named = [name(entry.get("model")) for entry in entries]
        kinds = [{"advisor_message": "advisor", "compaction": "compaction", "fallback_message": "fallback"}.get(
            entry.get("type"), "message") for entry in entries]
        asked = total(one for one, kind in zip(used, kinds) if kind == "message")
        is_whole = counts(asked) == counts(whole)
        stepped_in = not is_whole and any(
            kind == "fallback" and model is not None and who == model for kind, who in zip(kinds, named))
        own, compactions, beside = [], [], []
        order = []
        for entry, one, kind, who in zip(entries, used, kinds, named):
            if kind == "compaction":
                order.append(one)
                compactions.append(one)
            elif kind == "advisor":
                beside.append((kind, who or "unknown", Usage.of(entry)))
            elif (kind == "message" and (not stepped_in or who == model)) or (
                    kind == "fallback" and not is_whole and who in (None, model)):
                order.append(one)
                own.append((len(order) - 1, entry))
            elif kind == "message" and one.output_tokens > 0:
                beside.append((kind, who or "unknown", Usage.of(entry)))
        answered = total(order[at] for at, _ in own)
        if any(counts(answered)) and all(a >= b for a, b in zip(counts(answered), counts(whole))):
            more = max(0, whole.cache_write_1h_tokens - answered.cache_write_1h_tokens)
            for at, entry in own:
                one = order[at]
                known = count(obj(entry.get("cache_creation")).get("ephemeral_5m_input_tokens"))
                moved = min(more, one.cache_write_5m_tokens - known)
                order[at] = one._replace(cache_write_5m_tokens=one.cache_write_5m_tokens - moved,
                                         cache_write_1h_tokens=one.cache_write_1h_tokens + moved)
                more -= moved
            order[own[-1][0]] = order[own[-1][0]]._replace(web_searches=whole.web_searches)
            return cls(order, whole, beside)
        if asked.writes == whole.writes:
            whole = whole._replace(cache_write_5m_tokens=asked.cache_write_5m_tokens,
                                   cache_write_1h_tokens=asked.cache_write_1h_tokens)
        return cls(compactions + ([whole] if any(whole) or not compactions else []), whole, beside)


# --- prices (docs/facts.md#prices) ---

def model_name(model):
    """One name for a model's many ids: with a date, Bedrock's, Vertex's, a reseller's, with a long context."""
    model = model.strip().lower().rsplit("/", 1)[-1]
    for pattern in (r"\[[^\]]*\]$", r"^(?:[a-z0-9-]+\.)*anthropic\.", r"@.*$", r":.*$", r"-v\d+$"):
        model = re.sub(pattern, "", model)
    model = re.sub(r"(?<=\d)\.(?=\d)", "-", model)
    return re.sub(r"-(?:20\d{6}|latest)$", "", model)


class Prices:
    """The rates and dates of a prices.toml, by rules of its own."""
    RATES = {"input_tokens": "input", "output_tokens": "output", "cache_read_tokens": "cache_read",
             "cache_write_5m_tokens": "cache_write_5m", "cache_write_1h_tokens": "cache_write_1h"}

    def __init__(self, path):
        with open(path, "rb") as file:
            table = tomllib.load(file, parse_float=Fraction)
        self.models = {}
        for name, model in table["models"].items():
            if model["provider"] == "anthropic":
                for alias in (name, *model.get("aliases", [])):
                    self.models[alias] = model
                    self.models.setdefault(model_name(alias), model)
        self.search = Fraction(table["providers"]["anthropic"]["web_search"])
        self.us = Fraction(11, 10)

    def row(self, model):
        return self.models.get(model.strip()) or self.models.get(model_name(model))

    def rates(self, model, at, prompt):
        """Dollars for a million tokens by class; None for a model without a price, which costs an unknown sum.

        A price can have a date, and a prompt beyond a threshold puts the whole request on another price.
        """
        known, date = self.row(model), day(at) if at is not None else "9999"
        if known is None:
            return None
        held = [row for row in known["prices"] if str(row.get("from", "")) <= date < str(row.get("until", "99999"))
                and prompt > row.get("over", -1)]
        row = max(held, key=lambda row: (row.get("over", -1), str(row.get("from", ""))))
        return {kind: Fraction(row[kind]) for kind in self.RATES.values()}

    def cost(self, model, usage, at, prompt, speed=None, geo=None):
        """Pico-dollars; None if the model has no price."""
        rates = self.rates(model, at, prompt)
        if rates is None:
            return None
        row, date = self.row(model), day(at) if at is not None else "9999"
        usd = sum(getattr(usage, kind) * rates[rate] for kind, rate in self.RATES.items()) / 10**6
        if speed == "fast" and date < str(row.get("fast_until", "99999")):
            usd *= Fraction(row.get("fast", 1))
        if geo == "us" and self.has_us_inference(model):
            usd *= self.us
        if self.is_regional(model):
            usd *= self.us
        pico = (usd + usage.web_searches * self.search) * 10**12
        assert pico.denominator == 1, f"{model}: not a whole pico-dollar"
        return int(pico)

    @staticmethod
    def is_regional(model):
        """A cloud's regional endpoint costs a tenth more from the models of 4.5 on."""
        version = re.match(r"claude-[a-z]+-(\d+)(?:-(\d+))?$", model_name(model))
        return bool(re.match(r"(?:.*/)?(?:us-gov|us|eu|au|jp|ca|apac|sa|uk)\.anthropic\.", model.lower())) and (
            version is not None and (int(version[1]), int(version[2] or 0)) >= (4, 5))

    @staticmethod
    def has_us_inference(model):
        """The surcharge came with the models of 4.6."""
        version = re.match(r"claude-(?:opus|sonnet|haiku|fable|mythos)-(\d+)(?:-(\d+))?$", model_name(model))
        return model_name(model) == "claude-mythos-preview" or (
            version is not None and (int(version[1]), int(version[2] or 0)) >= (4, 6))


# What the client writes for itself, and copies into no fork.
NOTES = {"queue-operation", "last-prompt", "mode", "permission-mode", "api-request", "cost-state"}


# And all that no other client writes.
OURS = NOTES | set("""progress attachment ai-title custom-title agent-name summary file-history-snapshot file-history-delta
    tools-used atis-latch api-request-shape api-request-blob pr-link session-owner usageReport tag""".split())


# --- reading -----------------------------------------------------------------------------------------------------

@dataclass(eq=False)
class Log:
    """A file. It starts at its first dated line, not at the earliest: a fork's copies keep their old times."""
    path: str
    number: int
    start: float = NEVER
    dated: list = field(default_factory=list)  # uuid or None, time
    uuids: set = field(default_factory=set)
    named: str | None = None  # the session that the last line names which names one
    stretch: list = field(default_factory=list)  # kind and time of the lines behind a note at the start, see is_fork
    run: "Record | None" = None  # the last response, while no user line has followed: lines without ids may go on with it

    def is_fork(self):
        """A headless fork begins with the client's own note, and its copies are older than that. So is all that a clock says
        that was set back, so copies stand in one stretch, up to the prompt that the note announced."""
        if not self.stretch or self.stretch[0][0] != "queue-operation":
            return False
        has_older = False
        for kind, at in self.stretch:
            talks = kind in ("user", "result", "assistant") and at is not None
            if talks and at < self.start:
                has_older = True
            elif talks:
                return has_older and kind == "user" and at - self.start <= 60_000
            elif has_older and kind in NOTES:
                return False
        return False

    @property
    def session(self):
        """By its name, for lines that name none; a subagent's stands in the folder of its session."""
        parts = os.path.abspath(self.path).removesuffix(".jsonl").split(os.sep)
        if self.agent and "subagents" in parts:
            return parts[len(parts) - 2 - parts[::-1].index("subagents")]
        return parts[-1]

    @property
    def agent(self):
        stem = os.path.basename(self.path).removesuffix(".jsonl")
        return stem.removeprefix("agent-") if stem.startswith("agent-") else None


@dataclass
class Record:
    """A line that shows usage of an API response."""
    log: Log
    line: int
    source: int
    session: str
    agent: str | None
    model: str
    billed: Requests
    complete: bool
    at: int | None
    speed: object
    geo: object
    is_marked_copy: bool

    uuid: str | None
    request: object  # its id, else the record that its run begins with
    has_request: bool
    is_nameless: bool  # has neither its own id nor its request's

    @property
    def usage(self):
        return Usage(*map(sum, zip(Usage(), *self.billed.own)))

    @property
    def is_copy(self):
        """Known to be a fork's: by its marks, or older than its file."""
        return self.source == MAIN and (
            self.is_marked_copy or (self.at is not None and self.at < self.log.start and self.log.is_a_fork))

    @property
    def is_zeroed(self):
        return not (self.usage.input_tokens or self.usage.output_tokens or self.usage.cache_read_tokens)

    def is_same(self, other):
        """Whether two records with one id are of one response. An id alone does not say so: gateways have one for all, or
        count from 1 in each session."""
        if self.uuid and self.uuid == other.uuid:
            return True
        at_once = self.at is not None and self.at == other.at
        if self.session != other.session:
            return not (self.uuid or other.uuid) and at_once and self.usage == other.usage
        ours, theirs = self.billed.client.prompt, other.billed.client.prompt
        if self.complete and other.complete and not (self.is_zeroed or other.is_zeroed) and ours != theirs:
            return at_once
        if self.request == other.request or at_once:
            return True
        if not (self.has_request and other.has_request) or ECHO in (self.source, other.source):
            return 0 < ours == theirs
        same_prompt = 0 < ours == theirs
        # A side question repeats what it has not paid for, with requests of its own.
        return same_prompt and self.source != other.source and self.usage == other.usage


@dataclass
class State:
    """A `cost-state` line: the client's own cumulative totals of a session."""
    log: Log
    line: int
    session: str
    at: float  # the last dated line before it: it has no time of its own
    until: float  # the next dated line after it: what is younger is not in it
    start: object
    models: dict  # by model: usage, whether the writes are split, dollars or None


@dataclass
class Past:
    """Which lines stood behind which name by the total before."""
    behind: dict = field(default_factory=dict)  # by name and answered model
    left: dict = field(default_factory=dict)  # what each name had beyond them
    uncovered: dict = field(default_factory=dict)  # by answered model, what no name had


DECODER = json.JSONDecoder(strict=False)
NEXT_VALUE, NEXT_OBJECT = re.compile(r"[^\s,]"), re.compile(r'\{\s*"')


def values(raw):
    """The JSON values of a line, and whether a part of it was broken.

    docs/facts.md#late-and-damaged-lines: be ready for cut lines, NULs, other bytes than UTF-8, CRLF. A cut line has no newline, so the next writer's
    first record stands behind it; what looks like a whole record there is one.
    """
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", " ").strip()
    found, broken, at = [], False, 0
    while at < len(text):
        try:
            value, end = DECODER.raw_decode(text, at)
            if not broken or {"type", "sessionId"} <= obj(value).keys():
                found.append(value)
        except (ValueError, RecursionError):
            broken, end = True, at + 1
        following = (NEXT_OBJECT if broken else NEXT_VALUE).search(text, end)
        at = following.start() if following else len(text)
    return found, broken


class Older:
    """Which of sessions that have the same records is the oldest: the one that made them."""

    def __init__(self, responses):
        self.has, self.copies, self.starts = defaultdict(dict), defaultdict(set), defaultdict(lambda: NEVER)
        self.aside = set()  # what is of no main conversation, and not copied with it
        for number, records in enumerate(responses):
            if all(record.source != MAIN for record in records):
                self.aside.add(number)
            for record in records:
                if record.source == ECHO:
                    continue
                at = self.has[record.session].get(number)
                self.has[record.session][number] = record.at if at is None else min(at, record.at or at)
                if record.source == MAIN:
                    self.starts[record.session] = min(self.starts[record.session], record.log.start)
                if record.is_copy:
                    self.copies[record.session].add(number)

    def before(self, a, b):
        """Whether session `a` is the older of two."""
        shared = self.has[a].keys() & self.has[b].keys()
        marked = [any(n in self.copies[y] and n not in self.copies[x] for n in shared) for x, y in ((a, b), (b, a))]
        if marked[0] != marked[1]:
            return marked[0]
        last = max((at for n in shared for at in (self.has[a][n], self.has[b][n]) if at is not None), default=-NEVER)
        own = [[(at, n) for n, at in self.has[x].items() if n not in shared and at is not None] for x in (a, b)]
        # A fork's own are younger than what it has copied.
        older = [any(at < last for at, _ in times) for times in own]
        if older[0] != older[1]:
            return older[0]
        # Its file can start with a note of the client's.
        notes = [self.starts[x] > last for x in (a, b)]
        if notes[0] != notes[1]:
            return notes[1]
        # A fork is made to go on with at once, and has all that was there.
        later = [min((at for at, n in times if at >= last and n not in self.aside), default=NEVER) for times in own]
        if later[0] != later[1]:
            return later[0] > later[1]
        return (self.starts[a], a) < (self.starts[b], b)

    def first(self, sessions):
        best, *others = sorted(sessions)
        for other in others:
            best = other if self.before(other, best) else best
        return best


class Counter:
    def __init__(self, prices):
        self.prices = prices
        self.logs = []
        self.records = defaultdict(list)  # by the response's key
        self.states = defaultdict(list)  # by session
        self.turns = defaultdict(set)  # by session: when the user spoke
        self.regional = {}  # by model: a regional name that totals give it
        self.lines = self.broken = 0

    def read(self, path):
        log = Log(path, len(self.logs))
        self.logs.append(log)
        waiting, last = [], -NEVER
        lines, broken_lines, is_ours = self.lines, self.broken, False
        with open(path, "rb") as file:
            for raw in file:
                found, broken = values(raw)
                self.lines += bool(found or broken)
                self.broken += broken
                for line in filter(lambda value: isinstance(value, dict), found):
                    is_ours = is_ours or self.is_ours(line)
                    at = time(line.get("timestamp")) if line.get("timestamp") else time(line.get("_audit_timestamp"))
                    log.named = name(line.get("sessionId")) or name(line.get("session_id")) or log.named
                    if uuid := name(line.get("uuid")):
                        log.uuids.add(uuid)
                    if at is not None:
                        log.start = at if log.start == NEVER else log.start
                        log.dated.append((uuid, at))
                        for state in waiting:
                            state.until = at
                        waiting, last = [], at
                    if (line.get("type") == "user" and at is not None and not log.agent
                            and not line.get("isSidechain") and not line.get("isMeta")):
                        content = obj(line.get("message")).get("content")
                        if not any(obj(block).get("type") == "tool_result" for block in
                                   (content if isinstance(content, list) else [])):
                            self.turns[name(line.get("sessionId")) or log.session].add(at)
                    if log.start != NEVER and line.get("isSidechain") is not True:
                        kind = line.get("type")
                        content = obj(line.get("message")).get("content")
                        if kind == "user" and isinstance(content, list) and any(
                                obj(part).get("type") == "tool_result" for part in content):
                            kind = "result"
                        log.stretch.append((kind, at))
                    if line.get("type") == "user":
                        log.run = None
                    if line.get("type") == "cost-state":
                        waiting.append(self.state(log, line, last))
                    else:
                        self.message(log, line, at)
        log.is_a_fork = log.is_fork()
        if not is_ours:
            # The log of another client.
            self.lines, self.broken = lines, broken_lines

    @staticmethod
    def is_ours(line):
        if line.get("type") in ("user", "assistant"):
            return obj(line.get("message")).get("content") is not None
        if line.get("type") == "system":
            return "isSidechain" in line or {"session_id", "subtype"} <= line.keys()
        return line.get("type") in OURS

    def message(self, log, line, at):
        """docs/facts.md#which-lines-count: only `assistant` lines have usage, and old clients echo those of subagents in `progress` lines."""
        record, source = line, MAIN
        if line.get("type") == "progress":
            record, source = obj(obj(line.get("data")).get("message")), ECHO
            at = time(record.get("timestamp")) or at
        message = obj(record.get("message"))
        usage = message.get("usage")
        if record.get("type") != "assistant" or not isinstance(usage, dict) or message.get("model") == "<synthetic>":
            return
        agent = name(obj(line.get("data")).get("agentId") if source == ECHO else line.get("agentId")) or log.agent
        if source == MAIN and (line.get("isSidechain") is True or agent):
            source = SIDECHAIN
        session = name(line.get("sessionId")) or name(line.get("session_id")) or log.named or log.session
        if source == MAIN and not name(line.get("sessionId")) and line.get("parent_tool_use_id"):
            source = SIDECHAIN
        # docs/facts.md#records-of-one-response: the key is message.id, in all files together; without one requestId, then the run of lines.
        ids = (("message", message.get("id")), ("request", record.get("requestId")))
        key = next((pair for pair in ids if name(pair[1])), None)
        forked_from = obj(line.get("forkedFrom")).get("sessionId")
        found = Record(
            log, self.lines, source, session, agent, name(message.get("model")) or "unknown",
            Requests.of(usage, name(message.get("model"))),
            message.get("stop_reason") is not None, at, usage.get("speed"), usage.get("inference_geo"),
            any(name(mark) not in (None, session) for mark in (line.get("requestSessionId"), forked_from)),
            name(record.get("uuid")), None, bool(name(record.get("requestId"))), key is None)
        run = log.run if source != ECHO else None
        if found.has_request:
            found.request = record["requestId"]
        else:
            # A run is one response, as far as nothing ends it.
            goes_on = run is not None and not run.has_request and run.is_nameless == found.is_nameless
            if goes_on and key is None:
                goes_on = not run.complete or run.usage == found.usage
            elif goes_on:
                goes_on = run.key == key
            found.request = run.request if goes_on else (found.uuid or ("line", log.number, self.lines))
        found.key = key or ("run", found.request)
        if source != ECHO:
            log.run = found
        self.records[found.key].append(found)

    def state(self, log, line, last):
        models = {}
        for model, total in obj(line.get("modelUsage")).items():
            total = obj(total)
            short, long = (total.get(f"cacheCreationEphemeral{kind}InputTokens") for kind in ("5m", "1h"))
            is_split = short is not None or long is not None
            short = max(count(short), count(total.get("cacheCreationInputTokens")) - count(long))
            usage = Usage(count(total.get("inputTokens")), count(total.get("outputTokens")),
                          count(total.get("cacheReadInputTokens")), short, count(long),
                          count(total.get("webSearchRequests")))
            usd = total.get("costUSD")
            usd = Fraction(repr(usd)) if isinstance(usd, (int, float)) and math.isfinite(usd) else None
            self.regional |= {model_name(model): model} if self.prices.is_regional(model) else {}
            old, old_is_split, old_usd = models.get(model_name(model), (Usage(), True, 0))
            models[model_name(model)] = (old.plus(usage), old_is_split and is_split,
                                         None if None in (old_usd, usd) else old_usd + usd)
        session = name(line.get("sessionId")) or log.named or log.session
        state = State(log, self.lines, session, last, NEVER, line.get("startTime"), models)
        self.states[session].append(state)
        return state

    # --- responses ---

    def responses(self):
        """Each API response once: docs/facts.md#records-of-one-response."""
        self.parents = {session: self.parent_of(session) for session in self.states}
        together = [(key, part) for key, records in self.records.items() for part in self.apart(records)]
        older = Older(records for _, records in together)
        for key, records in together:
            # One whole record counts, of whatever source: one that shows anything, a complete one (with stop_reason), then
            # the largest output.
            best = min(records, key=lambda record: (
                not (record.usage.input_tokens or record.usage.output_tokens or record.usage.cache_read_tokens),
                not record.complete, -record.usage.output_tokens, record.source, record.log.number, record.line))
            # Whose it is, and when it came, an echo says only where there is no other record of the response.
            records = [record for record in records if record.source != ECHO] or records
            rank = min((record.source, record.is_copy) for record in records)
            owners = [record for record in records if (record.source, record.is_copy) == rank]
            session = older.first({record.session for record in owners})
            owner = min((record for record in owners if record.session == session),
                        key=lambda record: (record.log.number, record.line))
            # The originals of copies that nobody has: they count, but for no session.
            session = "(none)" if owner.is_copy else session
            at = min((record.at for record in records if record.at is not None), default=None)
            parts = [("", best.model, best.billed.own, best.billed.client)] + [
                (f" {kind} {number}", model, [usage], usage if kind == "advisor" else Usage())
                for number, (kind, model, usage) in enumerate(best.billed.beside)]
            for suffix, model, requests, client in parts:
                # docs/facts.md#what-changes-the-bill: price tiers apply to each request.
                costs = [self.prices.cost(model, usage, at, usage.prompt, best.speed, best.geo) for usage in requests]
                yield {"id": str(key[1]) + suffix, "advice": suffix.startswith(" advisor"),
                       "session": session, "agent": owner.agent, "model": model,
                       "usage": Usage(*map(sum, zip(Usage(), *requests))), "client": client, "at": at,
                       "speed": best.speed, "geo": best.geo, "cost": None if None in costs else sum(costs)}

    @staticmethod
    def apart(records):
        """Records with one key by the response that they are of."""
        groups = []
        for record in records:
            found = [group for group in groups if any(record.is_same(other) for other in group)]
            # A record without a request could be of each of them: it is of one.
            found = found if record.has_request else found[:1]
            groups = [group for group in groups if not any(group is other for other in found)]
            groups.append([record] + [other for group in found for other in group])
        return groups

    # --- hidden calls ---

    def parent_of(self, session):
        """docs/facts.md#the-clients-own-total: a fork's cost-state goes on from its parent's, with the same `startTime`. So the parent is the
        session with that time whose lines are repeated here and whose file starts first (or, where both files start
        with the copied line, whose first total is smaller). With it goes the time of the fork: that of its first line
        of its own."""
        def beginning(session):
            states = self.states[session]
            return (min(state.log.start for state in states),
                    sum(sum(usage) for usage, _, _ in states[0].models.values()))

        own, parents = self.states[session], []
        for other, theirs in self.states.items():
            if not {state.start for state in own} & {state.start for state in theirs} - {None}:
                continue
            if other == session or beginning(other) >= beginning(session):
                continue
            known = set().union(*(state.log.uuids for state in theirs))
            for log in {state.log.number: state.log for state in own}.values():
                if shared := len(log.uuids & known):
                    forked_at = next((at for uuid, at in log.dated if uuid not in known), NEVER)
                    parents.append((shared, *beginning(other), other, forked_at))
        return max(parents)[-2:] if parents else None

    def last_state(self, session, start, until):
        """docs/facts.md#the-clients-own-total: of one `startTime` the last one counts, for it is cumulative over resumes."""
        states = [state for state in self.states[session]
                  if state.at <= until and None in (start, state.start) or state.start == start and state.at <= until]
        return max(states, key=lambda state: (state.at, state.log.number, state.line), default=None)

    def hidden(self, responses):
        """What no line shows: session, model, usage, cost and time. docs/facts.md#the-clients-own-total: what the client has counted since its
        `startTime`, less what the lines show since then; totals of several starts add up. A fork's total goes on from its
        parent's. What was hidden by the time of a total keeps that time."""
        self.disagreements = []
        by_session = defaultdict(list)
        for response in responses:
            by_session[response["session"]].append(response)
        for session in sorted(self.states):
            # An advisor is counted under its own name and no other.
            known = {model for state in self.states[session] for model in state.models}
            lines = [line for line in by_session[session] if not line["advice"] or model_name(line["model"]) in known]
            lines.sort(key=lambda line: line["at"] or 0)
            counted, totals, reached, found, past = set(), {}, {}, [], Past()
            states = sorted(self.states[session], key=lambda state: (state.at, state.log.number, state.line))
            # A record that stands at one moment with one of the same start is the same total, written again.
            states = [state for state, later in zip(states, states[1:] + [None])
                      if later is None or (state.at, state.start) != (later.at, later.start)]
            for state in states:
                had = totals.get(state.start, {})
                totals[state.start], goes_on = self.own_total(session, state)
                window = self.window(state, lines, counted, reached.get(state.start), goes_on or had, had, totals)
                reached[state.start] = max(state.until, reached.get(state.start, state.until))
                counted |= set(window)
                at = None if state.at == -NEVER else state.at
                hidden, below, past = self.left(session, totals, [lines[i] for i in sorted(counted)],
                                                [lines[i] for i in window], at, past)
                found.append((at, hidden, below))
            if found:
                self.disagreements += found[-1][2]
            for (_, earlier, _), (_, later, _) in zip(found[-2::-1], found[:0:-1]):
                for model in earlier:
                    name, usage = earlier[model]
                    least = later.get(model, (None, Usage()))[1]
                    earlier[model] = name, Usage(*map(min, zip(usage, least)))
            known = defaultdict(Usage)
            for at, models, _ in found:
                for model, ((name, speed, geo), usage) in models.items():
                    more = Usage(*(max(0, tokens) for tokens in usage.minus(known[model])))
                    known[model] = known[model].plus(more)
                    if any(more):
                        # How long the prompts were is not known, so no tier holds.
                        yield {"session": session, "model": name, "usage": more, "at": at,
                               "cost": self.prices.cost(name, more, at, 0, speed, geo)}

    def own_total(self, session, state):
        """A state's models, by name, less what a fork has from its parent's last total of the same start."""
        parent = self.parents[session]
        before = self.last_state(parent[0], state.start, parent[1]) if parent else None
        models = dict(state.models)
        for model, (usage, is_split, usd) in (before.models if before else {}).items():
            if model in models:
                own, own_is_split, own_usd = models[model]
                models[model] = (own.minus(usage), own_is_split and is_split,
                                 None if own_usd is None or usd is None else own_usd - usd)
        return models, before is not None

    def window(self, state, lines, counted, reached, goes_on, had, totals):
        """The lines that a total has and none before it had."""
        def four(usages):
            total = Usage(*map(sum, zip(Usage(), *usages)))
            return (total.input_tokens, total.output_tokens, total.cache_read_tokens, total.writes, total.web_searches)

        def fits(have, need):
            return all(a >= b for a, b in zip(have, need))

        def used(models):
            return four(usage for usage, _, _ in models.values())

        def shown(places):
            return four(lines[i]["client"] for i in places)

        start = state.start if isinstance(state.start, (int, float)) else -NEVER
        reach = [i for i, line in enumerate(lines) if i not in counted and (line["at"] or 0) < state.until
                 and (reached is None or (line["at"] or 0) >= reached)]
        own = [i for i in reach if lines[i]["at"] is None or lines[i]["at"] >= start]
        grown = [max(0, a - b) for a, b in zip(used(totals[state.start]), used(had))]
        if state.at != -NEVER and start > state.at and fits(grown, shown(reach)):
            own = reach  # the clock was set back
        everything = [sum(parts) for parts in zip(*map(used, totals.values()))]
        if goes_on and not fits(everything, shown(counted | set(own))):
            # A process that was killed has left lines, and no total; the next one goes on from the last total.
            for turn in sorted(self.turns[state.session]):
                later = [i for i in own if (lines[i]["at"] or -NEVER) >= turn]
                if later and fits(grown, shown(later)):
                    return later
        return own

    def left(self, session, totals, lines, window, at, past):
        """By model of the totals, what no line has, and what to call it; what the lines have too much; and what the next
        total goes on from. Lines go whole to a name that has grown enough since the total before."""
        models = {}
        for chain in totals.values():
            for model, (usage, is_split, usd) in chain.items():
                old, old_is_split, old_usd = models.get(model, (Usage(), True, 0))
                models[model] = (old.plus(usage), old_is_split and is_split,
                                 None if old_usd is None or usd is None else old_usd + usd)
        def sum_of(usages):
            return Usage(*map(sum, zip(Usage(), *usages)))

        shown = {model_name(line["model"]) for line in lines}
        # By name of the totals: the lines behind it by the model that answered.
        behind = {model: dict(past.behind.get(model, {})) for model in models}
        held = {model: past.left.get(model, Usage()) for model in models}
        pending = defaultdict(list)
        for line in window:
            pending[model_name(line["model"])].append(line["client"])

        def room(model, more=Usage()):
            """What a total has beyond these lines and those that it has already; less than nothing where these are more."""
            usage, is_split, usd = models[model]
            all_lines = sum_of(behind[model].values()).plus(more)
            rest = usage.minus(all_lines)
            if not is_split:
                rest = self.split_of(model, rest, all_lines, usage, usd, at)
            rest = rest.minus(held[model])
            # Writes are one class: lines that do not tell how long theirs last are taken to have them for 5 minutes.
            writes = rest.writes
            if writes >= 0:
                long = min(max(0, rest.cache_write_1h_tokens), writes)
                return rest._replace(cache_write_1h_tokens=long, cache_write_5m_tokens=writes - long)
            long = max(min(0, rest.cache_write_1h_tokens), writes)
            return rest._replace(cache_write_1h_tokens=long, cache_write_5m_tokens=writes - long)

        def is_alias(model):
            return self.prices.row(model) is None

        def likely(model, line_model):
            words = [set(re.findall("[a-z]{4,}", name)) - {"claude"} for name in (model, line_model)]
            if model in shown:
                grade = 3
            elif behind[model]:
                grade = 2
            else:
                grade = 0 if is_alias(model) else 1
            return not words[0] & words[1], grade

        def has_room(model, usage):
            return min(room(model, usage)) >= 0

        def may_answer(model, line_model):
            """What declines is answered for by no model that costs more; an alias or a name without lines by any."""
            if model not in shown or is_alias(model) or not likely(model, line_model)[0]:
                return True
            theirs = self.prices.rates(line_model, at, 0)
            return theirs is None or sum(self.prices.rates(model, at, 0).values()) >= sum(theirs.values())

        def fitting(usage, line_model, among):
            return [model for model in among if has_room(model, usage) and (
                four_of(room(model)) == four_of(usage) or may_answer(model, line_model))]

        def fit(model, usage, line_model):
            # Hidden calls seldom use each class, so those that come out even tell a name's own lines.
            uneven = sum(a != b for a, b in zip(four_of(room(model)), four_of(usage)))
            return uneven, likely(model, line_model), sum(room(model)[:5]), model

        def best(usage, line_model, besides=None):
            return min(fitting(usage, line_model, models.keys() - {besides}), default=None,
                       key=lambda model: fit(model, usage, line_model))

        def take(model, line_model, usage):
            if any(usage):
                behind[model][line_model] = behind[model].get(line_model, Usage()).plus(usage)

        def four_of(usage):
            return (*usage[:3], usage.writes, usage.web_searches)

        def together(which):
            return four_of(Usage(*map(sum, zip(Usage(), *(Usage(*(max(0, t) for t in room(one))) for one in which)))))

        def covers(which, usage):
            return all(a >= b for a, b in zip(together(which), four_of(usage)))

        def spread(usage, line_model, among, fits=lambda model, usage: True):
            for model in among:
                if not fits(model, usage):
                    continue
                have = room(model)
                writes = min(max(0, have.writes), usage.writes)
                short = min(usage.cache_write_5m_tokens, writes)
                part = Usage(*(min(max(0, a), b) for a, b in zip(have, usage)))._replace(
                    cache_write_5m_tokens=short, cache_write_1h_tokens=writes - short)
                if any(part):
                    take(model, line_model, part)
                    usage = usage.minus(part)
            return usage

        def switched(model, usages, free):
            """A run of lines that another name covers, where their own covers the rest."""
            found = []
            for first in range(len(usages)):
                for end in range(first + 1, len(usages) + 1):
                    kept, moved = sum_of(usages[:first] + usages[end:]), sum_of(usages[first:end])
                    if has_room(model, kept):
                        found += [(fit(other, moved, model)[:3], first, other, {model: kept, other: moved})
                                  for other in fitting(moved, model, free)]
                        break
            return min(found, key=lambda one: one[:3])[3] if found else None

        def scattered(model, usages, free):
            """Each line, the largest first, where the least room is."""
            parts = {other: Usage() for other in [*filter(lambda other: may_answer(other, model), free), model]}
            for usage in sorted(usages, key=lambda usage: -sum(usage[:5])):
                fits = [other for other in parts if has_room(other, parts[other].plus(usage))]
                if not fits:
                    return None
                other = min(fits, key=lambda other: sum(max(0, t) for t in room(other)[:5]) - sum(parts[other][:5]))
                parts[other] = parts[other].plus(usage)
            return parts

        def over_of(model, usage=Usage()):
            return Usage(*(max(0, -tokens) for tokens in room(model, usage)))

        def place_over(model, over):
            if over.prompt == 0 or over.output_tokens == 0:
                return False
            if other := best(over, model, model):
                take(other, model, over)
                return True
            free = [other for other in models if other != model and not behind[other]]
            if not covers(free, over):
                return False
            spread(over, model, sorted(free, key=lambda free: (likely(free, model), free)))
            return True

        def by_size():
            return sorted(pending, key=lambda model: (-sum(sum_of(pending[model])[:5]), model))

        def by_likeliness(line_model):
            return sorted(models, key=lambda model: (likely(model, line_model), model))

        def place(line_model, usage):
            order = by_likeliness(line_model)
            if model := best(usage, line_model):
                take(model, line_model, usage)
                return True
            for among in ([model for model in order if model not in shown],
                          [model for model in order if may_answer(model, line_model)]):
                if covers(among, usage):
                    spread(usage, line_model, among)
                    return True
            return False

        def place_whole():
            with_lines = set(pending)
            for model in sorted(pending.keys() & models.keys()):
                if has_room(model, sum_of(pending[model])):
                    take(model, model, sum_of(pending.pop(model)))
            free = sorted(models.keys() - with_lines)
            for model in sorted(pending.keys() & models.keys()):
                parts = switched(model, pending[model], free) or scattered(model, pending[model], free)
                if parts is not None:
                    del pending[model]
                    for other, usage in parts.items():
                        take(other, model, usage)
            for model in by_size():
                usage = sum_of(pending[model])
                if model not in models:
                    is_placed = place(model, usage)
                else:
                    over = over_of(model, usage)
                    if is_placed := place_over(model, over):
                        take(model, model, usage.minus(over))
                if is_placed:
                    del pending[model]

        place_whole()
        # What a name had before is for lines that were counted before they were written.
        held = dict.fromkeys(models, Usage())
        for model, usage in [*past.uncovered.items(), *(
                line for model in past.behind if model not in models for line in past.behind[model].items())]:
            pending[model].append(usage)
        place_whole()
        excess, uncovered = {}, {}
        for model in by_size():
            usage = sum_of(pending[model])
            if model in models:
                take(model, model, usage)
                continue
            # Nobody's own name for a model, or one that has less than these lines alone, is theirs all the same.
            rest = spread(usage, model, by_likeliness(model), lambda other, rest: is_alias(other) or not behind[other] and all(
                a <= b for a, b in zip(four_of(room(other)), four_of(rest))))
            if any(rest):
                uncovered[model] = rest
        for model in sorted(models):
            over = over_of(model)
            if any(over):
                behind[model][model] = behind[model].get(model, Usage()).minus(over)
                if not place_over(model, over):
                    take(model, model, over)
                    excess[model] = over
        excess |= uncovered
        hidden = {}
        for model in models:
            rest = Usage(*(max(0, tokens) for tokens in room(model)))
            if any(rest):
                hidden[model] = (self.called(model, is_alias(model), model in shown, behind[model].keys(), lines, window), rest)
        below = [{"session": session, "model": model, "lines_minus_cost_state": usage._asdict()}
                 for model, usage in excess.items()]
        left = {model: Usage(*(max(0, tokens) for tokens in room(model))) for model in models}
        return hidden, below, Past(behind, left, uncovered)

    def called(self, model, is_alias, has_lines, answered, lines, window):
        """Hidden calls keep the name, the region and the mode of the lines that answer to a name, if that is one model's."""
        def usual(among, key):
            sums = defaultdict(int)
            for line in among:
                sums[key(line)] += sum(line["client"][:5])
            return max(sums, key=lambda name: sums[name], default=None)

        def whole(line):
            return line["model"], line["speed"], line["geo"]

        if not has_lines and not is_alias:
            mode = usual(lines, lambda line: (line["speed"], line["geo"]))
            return (self.regional.get(model, model), *(mode or (None, None)))
        came = {model_name(line["model"]) for line in window}
        behind = {model} if has_lines else (answered & came or answered)
        if len(behind) != 1:
            return model, None, None
        name = next(iter(behind))
        return (usual((line for line in window if model_name(line["model"]) == name), whole)
                or usual((line for line in lines if model_name(line["model"]) == name), whole))

    def split_of(self, model, rest, shown, usage, usd, at):
        """docs/facts.md#the-clients-own-total: a cost-state without a split takes the lines' split, and for the rest the one that reproduces its
        `costUSD`; where that says nothing, the lifetime that most of the lines' writes have."""
        writes, rates = usage.writes, self.prices.rates(model, at, 0)
        short = min(shown.cache_write_5m_tokens, writes)
        long = min(shown.cache_write_1h_tokens, writes - short)
        left = writes - short - long
        if left > 0 and usd is not None and rates is not None:
            dollars = usd * 10**6 - usage.web_searches * self.prices.search * 10**6
            dollars -= usage.input_tokens * rates["input"] + usage.output_tokens * rates["output"]
            dollars -= usage.cache_read_tokens * rates["cache_read"] + (short + left) * rates["cache_write_5m"] + long * rates["cache_write_1h"]
            more = min(left, max(0, math.floor(dollars / (rates["cache_write_1h"] - rates["cache_write_5m"]) + Fraction(1, 2))))
        else:
            more = left if long > short else 0
        return rest._replace(cache_write_5m_tokens=short + left - more - shown.cache_write_5m_tokens,
                             cache_write_1h_tokens=long + more - shown.cache_write_1h_tokens)


# --- the whole ---------------------------------------------------------------------------------------------------

def files_of(paths):
    """Each file once, though it may be reached by two names."""
    seen = set()
    for path in paths:
        below = [path] if not os.path.isdir(path) else (
            os.path.join(folder, file) for folder, _, files in sorted(os.walk(path)) for file in sorted(files))
        for file in below:
            if file.endswith(".jsonl") and (real := os.path.realpath(file)) not in seen:
                seen.add(real)
                yield file


class Sum:
    """What is added up of responses and hidden calls. What has no price is in the tokens, not in the money."""

    def __init__(self):
        self.usage, self.pico, self.responses, self.unpriced = Usage(), 0, 0, set()

    def add(self, part, responses=1):
        self.usage = self.usage.plus(part["usage"])
        self.responses += responses
        if part["cost"] is not None:
            self.pico += part["cost"]
        elif any(part["usage"]):
            self.unpriced.add(part["model"])

    def json(self):
        return {"responses": self.responses, "usage": self.usage._asdict(), "cost_pico_usd": self.pico,
                "unpriced_models": sorted(self.unpriced)}


def count_paths(paths, prices=PRICES):
    """The sums as JSON, and the responses one by one. All sums but `hidden` are of lines and hidden calls together."""
    counter = Counter(Prices(prices))
    for path in files_of(paths):
        counter.read(path)
    responses = list(counter.responses())
    total, hidden, by = Sum(), Sum(), {kind: defaultdict(Sum) for kind in ("session", "model", "day")}
    for part in responses + list(counter.hidden(responses)):
        is_hidden = "id" not in part
        if is_hidden:
            hidden.add(part, 0)
        total.add(part, not is_hidden)
        date = day(part["at"], undated="(hidden)" if is_hidden else "(none)")
        keys = {"session": part["session"], "model": model_name(part["model"]), "day": date}
        for kind, key in keys.items():
            by[kind][key].add(part, not is_hidden)
    sums = {"files": len(counter.logs), "lines": counter.lines, "broken_lines": counter.broken,
            "total": total.json(), "hidden": hidden.json()}
    sums |= {f"by_{kind}": {key: by[kind][key].json() for key in sorted(by[kind])} for kind in by}
    # Sessions whose lines show more than the client's own total.
    sums["disagreements"] = counter.disagreements
    return sums, responses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--prices", default=PRICES, metavar="FILE")
    parser.add_argument("--responses", action="store_true")
    args = parser.parse_args()
    sums, responses = count_paths(args.paths, args.prices)
    if args.responses:
        for response in responses:
            shown = {kind: response[kind]._asdict() for kind in ("usage", "client")}
            print(json.dumps(response | shown))
    print(json.dumps(sums, indent=1))


if __name__ == "__main__":
    main()
