"""A mock of the Anthropic Messages API on loopback that plays scripted conversations.

A script is a list of turns, one for each response. A prompt names its script by a marker, `[[s:NAME]]`, and the turn is the number
of assistant messages after the last marker. So the mock keeps no state: a retried, resumed or forked conversation gets the turn
that belongs there.

Every response it gives is an `Answer`, with the usage that was billed: the truth that a ledger is compared with. No two answers
have the same usage, so that taking one for another shows.

The seam for plan limits: response headers are sent in `Handler.start`, other endpoints are answered in `Handler.other`.
"""
import json
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARKER = re.compile(r"\[\[s:([\w.-]+)\]\]")
SUMMARY = "<analysis>All of it.</analysis>\n<summary>A scripted session. [[s:after-compact]]</summary>"
SPLIT = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
LEFT = (BrokenPipeError, ConnectionResetError)


def say(text):
    return {"type": "text", "text": text}


def call(tool, **arguments):
    return {"type": "tool_use", "name": tool, "input": arguments}


def think(text):
    return {"type": "thinking", "thinking": text, "signature": "c2lnbmF0dXJl"}


def turn(*content, **options):
    """One response: texts and blocks, and how it is given.

    usage      fields that replace those of the usual usage
    wait_ms    time before the first byte
    gap_ms     time between the blocks
    error      an HTTP status in place of an answer
    fails      how many attempts get an HTTP 529 before the answer
    cut        the connection breaks after so many blocks, at the first attempt
    """
    return dict(content=[say(part) if isinstance(part, str) else part for part in content], **options)


@dataclass
class Answer:
    """One request to the API, and what the provider billed for it (`usage`, None after an error)."""
    number: int
    kind: str  # "turn", "compact", or "side": a request without tools, such as a title's
    script: str
    turn: int
    model: str
    session: str
    agent: str
    asked_ns: int
    ended_ns: int = 0
    usage: dict = None
    is_last: bool = False
    is_beyond: bool = False
    tools: list = field(default_factory=list)


class MockApi(ThreadingHTTPServer):
    """Serves `scripts` on a free port of 127.0.0.1 for as long as the context lasts."""
    daemon_threads = True

    def __init__(self, scripts):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts, self.answers, self.outside, self.under_way = scripts, [], [], 0
        self.lock, self.numbers, self.attempts = threading.Lock(), 0, {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Passes over clients that hang up."""

    def is_done(self, script, since):
        """Whether the last turn of a script was given, among the answers after the first `since`."""
        with self.lock:
            return any(answer.is_last and answer.script == script for answer in self.answers[since:])

    def turn_for(self, answer):
        if answer.kind == "compact":
            return self.scripts.get("compact", [turn(SUMMARY)])[0]
        if answer.kind == "side":
            return self.scripts.get("side", [turn('{"title": "Scripted session"}')])[0]
        turns = self.scripts.get(answer.script, [])
        answer.is_last, answer.is_beyond = answer.turn == len(turns) - 1, answer.turn >= len(turns)
        return turns[answer.turn] if answer.turn < len(turns) else turn("Nothing more is scripted.")


def texts(message):
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [block.get("text", "") for block in content or [] if block.get("type") == "text"]


def place(body):
    """The kind of a request, its script and turn."""
    messages, script, number, last = body.get("messages", []), None, 0, ""
    for message in messages:
        if message["role"] == "assistant":
            number += 1
        elif message["role"] == "user":
            last = "\n".join(texts(message))
            for name in MARKER.findall(last):
                script, number = name, 0
    if "create a detailed summary" in last:
        return "compact", None, 0
    return ("turn" if body.get("tools") else "side"), script, number


def usual_usage(number, turn_number, characters):
    """A first turn writes the system prompt to the cache, each later one reads what the ones before wrote."""
    grown = [700 + 150 * before for before in range(turn_number)]
    written = grown[-1] if grown else 18_200
    return {"input_tokens": 5 + number, "output_tokens": characters // 4 + 10 + number,
            "cache_read_input_tokens": 18_200 + sum(grown[:-1]) if grown else 0, "cache_creation_input_tokens": written,
            "cache_creation": {SPLIT[0]: written, SPLIT[1]: 0}, "service_tier": "standard"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        """Refuses, and notes, what would leave this machine: the client has us for its proxy."""
        self.server.outside.append(self.path)
        self.close_connection = True
        self.send_error(502)

    def other(self):
        if self.path.startswith("http"):
            self.server.outside.append(self.path)
            return self.send_error(502)
        self.read_body()
        self.send_json(404 if self.command == "POST" else 200, {})

    do_GET = do_HEAD = do_PUT = do_DELETE = other

    def do_POST(self):
        path = self.path.split("?")[0]
        if path == "/v1/messages/count_tokens":
            return self.send_json(200, {"input_tokens": len(self.read_body()) // 4 + 1})
        if path != "/v1/messages":
            return self.other()
        api = self.server
        body = json.loads(self.read_body())
        with api.lock:
            api.numbers += 1
            api.under_way += 1
            answer = Answer(api.numbers, *place(body), body.get("model"), self.headers.get("x-claude-code-session-id"),
                            self.headers.get("x-claude-code-agent-id"), time.time_ns())
        try:
            self.answer(answer, api.turn_for(answer), bool(body.get("stream")))
        except LEFT:  # Someone interrupted the client: it knows the usage of the stream's start, or nothing.
            self.close_connection = True
        finally:
            with api.lock:
                answer.ended_ns = answer.ended_ns or time.time_ns()
                api.answers.append(answer)
                api.under_way -= 1

    def answer(self, answer, turn, stream):
        self.wait(turn.get("wait_ms", 0))
        attempt = self.attempt(answer)
        if turn.get("error") or attempt < turn.get("fails", 0):
            status = turn.get("error", 529)
            answer.is_last = bool(turn.get("error"))
            kind = "overloaded_error" if status == 529 else "invalid_request_error"
            return self.send_json(status, {"type": "error", "error": {"type": kind, "message": "scripted error"}})
        name = f"mock{id(self.server):x}n{answer.number}"
        blocks = [dict(block, id=f"toolu_{name}b{place}") if block["type"] == "tool_use" else block
                  for place, block in enumerate(turn["content"])]
        answer.tools = [block["name"] for block in blocks if block["type"] == "tool_use"]
        usage = usual_usage(answer.number, answer.turn, len(json.dumps(blocks)))
        usage.update(turn.get("usage", {}))
        stop = "tool_use" if answer.tools else "end_turn"
        message = {"id": f"msg_{name}", "type": "message", "role": "assistant", "model": answer.model, "content": blocks,
                   "stop_reason": stop, "stop_sequence": None, "usage": usage}
        if not stream:
            answer.usage = usage
            return self.send_json(200, message, f"req_{name}")
        self.start(200, "text/event-stream", f"req_{name}", [("transfer-encoding", "chunked")])
        self.stream(answer, message, turn, turn.get("cut") if attempt == 0 else None)

    def stream(self, answer, message, turn, cut):
        started = dict(message["usage"], output_tokens=1)
        self.event("message_start", message=dict(message, content=[], stop_reason=None, usage=started))
        answer.usage, generated = started, 0
        for index, block in enumerate(message["content"]):
            if index == cut:
                answer.usage = None  # Whatever the provider bills for it, the client never learns it.
                self.connection.shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            self.wait(turn.get("gap_ms", 0) if index else 0)
            kind = block["type"]
            if kind == "text":
                empty, deltas = {"text": ""}, [{"type": "text_delta", "text": block["text"]}]
            elif kind == "thinking":
                empty = {"thinking": "", "signature": ""}
                deltas = [{"type": f"{part}_delta", part: block[part]} for part in ("thinking", "signature")]
            else:
                empty, deltas = {"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
            self.event("content_block_start", index=index, content_block=dict(block, **empty))
            for delta in deltas:
                self.event("content_block_delta", index=index, delta=delta)
            self.event("content_block_stop", index=index)
            # Someone who interrupts pays for what was generated until then: the client takes four characters for a token.
            generated += len(block.get("text", ""))
            answer.usage = dict(started, output_tokens=max(1, -(-generated // 4)))
        answer.usage, answer.ended_ns = message["usage"], time.time_ns()
        final = {name: value for name, value in message["usage"].items() if name not in ("cache_creation", "service_tier")}
        self.event("message_delta", delta={"stop_reason": message["stop_reason"], "stop_sequence": None}, usage=final)
        self.event("message_stop")
        self.wfile.write(b"0\r\n\r\n")

    def attempt(self, answer):
        """How often this turn of this conversation was asked for before."""
        api, key = self.server, (answer.session, answer.agent, answer.script, answer.turn)
        with api.lock:
            api.attempts[key] = api.attempts.get(key, -1) + 1
            return api.attempts[key]

    def wait(self, milliseconds):
        """Waits, and notices a client that hangs up meanwhile."""
        if select.select([self.connection], [], [], milliseconds / 1000)[0] and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError

    def read_body(self):
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def start(self, status, content_type, request_id, headers):
        self.send_response(status)
        for name, value in [("content-type", content_type), ("request-id", request_id), *headers]:
            self.send_header(name, value)
        self.end_headers()

    def send_json(self, status, value, request_id="req_mock"):
        data = json.dumps(value).encode()
        self.start(status, "application/json", request_id, [("content-length", str(len(data)))])
        if self.command != "HEAD":
            self.wfile.write(data)

    def event(self, name, **data):
        text = f"event: {name}\ndata: {json.dumps(dict(type=name, **data))}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
