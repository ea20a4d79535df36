#!/usr/bin/env python3
"""Counts tokens and cost of Claude Code's transcripts. It shares no line with tallyhook, so that the two can be
compared (check-counts.sh): the rules are those of docs/facts.md#transcripts and docs/facts.md#prices, named where they are applied.

  scripts/count-independent.py [--prices FILE] [--responses] PATH...

PATH is a transcript or a folder; every *.jsonl below a folder is read, whatever its name and depth. One JSON object
goes to stdout; with --responses a line for each response goes before it. Money is whole pico-dollars (1 USD = 10^12).
FILE is a table of prices in the form of src/pricing/prices.toml, which is the default.
Python 3.11, standard library only.
"""
import argparse, json, math, os, re, sys, tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fractions import Fraction
from typing import NamedTuple

sys.setrecursionlimit(20_000)  # tool inputs may be nested deeply
PRICES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../src/pricing/prices.toml")

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


# --- prices (docs/facts.md#prices) --------------------------------------------------------------------------------------------

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
        pico = (usd + usage.web_searches * self.search) * 10**12
        assert pico.denominator == 1, f"{model}: not a whole pico-dollar"
        return int(pico)

    @staticmethod
    def has_us_inference(model):
        """The surcharge came with the models of 4.6."""
        version = re.match(r"claude-(?:opus|sonnet|haiku|fable|mythos)-(\d+)(?:-(\d+))?$", model_name(model))
        return model_name(model) == "claude-mythos-preview" or (
            version is not None and (int(version[1]), int(version[2] or 0)) >= (4, 6))


# --- reading -----------------------------------------------------------------------------------------------------

@dataclass(eq=False)
class Log:
    """A file. It starts at its first dated line, not at the earliest: a fork's copies keep their old times."""
    path: str
    number: int
    start: float = NEVER
    dated: list = field(default_factory=list)  # uuid or None, time
    uuids: set = field(default_factory=set)

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
    usage: Usage
    complete: bool
    at: int | None
    speed: object
    geo: object
    advisors: list  # model, usage, speed, geo
    is_marked_copy: bool

    @property
    def owner_rank(self):
        """docs/facts.md#forks: session and agent come from the main line, and a message belongs to the session whose file starts
        first. Between equals 2.1.330 marks a fork's copies with the id of the session that made the request."""
        return self.source, self.log.start, self.is_marked_copy


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


class Counter:
    def __init__(self, prices):
        self.prices = prices
        self.logs = []
        self.records = defaultdict(list)  # by the response's key
        self.states = defaultdict(list)  # by session
        self.lines = self.broken = 0

    def read(self, path):
        log = Log(path, len(self.logs))
        self.logs.append(log)
        waiting, last = [], -NEVER
        with open(path, "rb") as file:
            for raw in file:
                found, broken = values(raw)
                self.lines += bool(found or broken)
                self.broken += broken
                for line in filter(lambda value: isinstance(value, dict), found):
                    at = time(line.get("timestamp"))
                    if uuid := name(line.get("uuid")):
                        log.uuids.add(uuid)
                    if at is not None:
                        log.start = at if log.start == NEVER else log.start
                        log.dated.append((uuid, at))
                        for state in waiting:
                            state.until = at
                        waiting, last = [], at
                    if line.get("type") == "cost-state":
                        waiting.append(self.state(log, line, last))
                    else:
                        self.message(log, line, at)

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
        # docs/facts.md#records-of-one-response: the key is message.id, in all files together; without one requestId, then the line's uuid.
        ids = (("message", message.get("id")), ("request", record.get("requestId")), ("line", record.get("uuid")))
        key = next((pair for pair in ids if name(pair[1])), ("nameless", f"{log.number}:{self.lines}"))
        iterations = usage.get("iterations") if isinstance(usage.get("iterations"), list) else []
        session = name(line.get("sessionId")) or log.session
        self.records[key].append(Record(
            log, self.lines, source, session, agent, name(message.get("model")) or "unknown", Usage.of(usage),
            message.get("stop_reason") is not None, at, usage.get("speed"), usage.get("inference_geo"),
            # docs/facts.md#what-changes-the-bill: advisors are billed besides, under their own model; fallbacks that failed are not.
            [(name(part.get("model")) or "unknown", Usage.of(part), part.get("speed"), part.get("inference_geo"))
             for part in map(obj, iterations) if part.get("type") == "advisor_message"],
            name(line.get("requestSessionId")) not in (None, session)))

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
            models[model_name(model)] = (usage, is_split, usd)
        session = name(line.get("sessionId")) or log.session
        state = State(log, self.lines, session, last, NEVER, line.get("startTime"), models)
        self.states[session].append(state)
        return state

    # --- responses ---

    def responses(self):
        """Each API response once: docs/facts.md#records-of-one-response."""
        self.parents = {session: self.parent_of(session) for session in self.states}
        self.undecided = set()
        for key, records in self.records.items():
            # One whole record counts, of whatever source: a complete one (with stop_reason), then the largest output.
            best = min(records, key=lambda record: (not record.complete, -record.usage.output_tokens, record.source,
                                                    record.log.number, record.line))
            # Whose it is, and when it came, an echo says only where there is no other record of the response.
            records = [record for record in records if record.source != ECHO] or records
            rank = min((*record.owner_rank, self.forks_above(record.session)) for record in records)
            owners = [record for record in records if (*record.owner_rank, self.forks_above(record.session)) == rank]
            if len({record.session for record in owners}) > 1:
                self.undecided |= {record.session for record in owners}
            owner = min(owners, key=lambda record: (record.session, record.log.number, record.line))
            at = min((record.at for record in records if record.at is not None), default=None)
            parts = [(best.model, best.usage, best.speed, best.geo)] + best.advisors
            for number, (model, usage, speed, geo) in enumerate(parts):
                yield {"id": key[1] if number == 0 else f"{key[1]} advisor {number}", "session": owner.session,
                       "agent": owner.agent, "model": model, "usage": usage, "at": at,
                       "cost": self.prices.cost(model, usage, at, usage.prompt, speed, geo)}

    def forks_above(self, session):
        depth = 0
        while session in self.parents and self.parents[session] and depth < 100:
            session, depth = self.parents[session][0], depth + 1
        return depth

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

    def last_state(self, session, until=NEVER):
        """docs/facts.md#the-clients-own-total: the last one wins, for it is cumulative over resumes."""
        states = [state for state in self.states[session] if state.at <= until]
        return max(states, key=lambda state: (state.at, state.log.number, state.line), default=None)

    def hidden(self, responses):
        """What no line shows: session, model, usage, cost and time. docs/facts.md#the-clients-own-total: cost-state minus the lines, and minus the
        parent's at the fork."""
        self.disagreements = []
        by_session = defaultdict(list)
        for response in responses:
            by_session[response["session"]].append(response)
        for session in sorted(self.states):
            state, parent = self.last_state(session), self.parents[session]
            before = self.last_state(*parent) if parent else None
            at = None if state.at == -NEVER else state.at
            inherited = before.models if before else {}
            for model, (total, is_split, usd) in state.models.items():
                base, base_is_split, base_usd = inherited.get(model, (Usage(), True, 0))
                total, is_split = total.minus(base), is_split and base_is_split
                usd = None if usd is None or base_usd is None else usd - base_usd
                # What came after the last record (a resumed session that crashed) is not in it.
                shown = Sum()
                for response in by_session[session]:
                    if model_name(response["model"]) == model and (response["at"] or 0) < state.until:
                        shown.add(response)
                rest = total.minus(shown.usage)
                if not is_split:
                    rest = self.split_of(model, rest, shown, usd, at)
                if min(rest) < 0:
                    below = {"session": session, "model": model, "cost_state_minus_lines": rest._asdict()}
                    self.disagreements.append(below)
                    rest = Usage(*(max(0, tokens) for tokens in rest))
                if any(rest):
                    # How long the prompts were is not known, so no tier holds.
                    yield {"session": session, "model": model, "usage": rest, "at": at,
                           "cost": self.prices.cost(model, rest, at, 0)}

    def split_of(self, model, rest, shown, usd, at):
        """docs/facts.md#the-clients-own-total: a cost-state without a split takes the lines' split, and for the rest the one that reproduces its
        `costUSD`; where that says nothing, the lifetime that most of the lines' writes have."""
        writes, rates = rest.writes, self.prices.rates(model, at, 0)
        if writes > 0 and usd is not None and rates is not None:
            left = usd * 10**6 - Fraction(shown.pico, 10**6) - rest.web_searches * self.prices.search * 10**6
            left -= rest.input_tokens * rates["in"] + rest.output_tokens * rates["out"]
            left -= rest.cache_read_tokens * rates["cr"] + writes * rates["cw5m"]
            long = min(writes, max(0, round(left / (rates["cw1h"] - rates["cw5m"]))))
        else:
            long = max(0, writes) if shown.usage.cache_write_1h_tokens > shown.usage.cache_write_5m_tokens else 0
        return rest._replace(cache_write_5m_tokens=writes - long, cache_write_1h_tokens=long)


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
    # A fork and its parent whose files start with the same line, so that nothing says whose the copies are.
    sums["undecided_sessions"] = sorted(counter.undecided)
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
            print(json.dumps(response | {"usage": response["usage"]._asdict()}))
    print(json.dumps(sums, indent=1))


if __name__ == "__main__":
    main()
