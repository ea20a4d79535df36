"""A small MCP server on standard input and output, with tools that answer in each of the ways there are."""
import json
import sys

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ANSWERS = {
    "echo": {"content": [{"type": "text", "text": "first block"}, {"type": "text", "text": "second block"}]},
    "structured": {"content": [{"type": "text", "text": '{"answer": 42}'}], "structuredContent": {"answer": 42}},
    "picture": {"content": [{"type": "text", "text": "a dot"}, {"type": "image", "data": DOT, "mimeType": "image/png"}]},
    "fail": {"content": [{"type": "text", "text": "a scripted failure"}], "isError": True},
}


def answer(method, params):
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "mini", "version": "1"}}
    if method == "tools/list":
        return {"tools": [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in ANSWERS]}
    return ANSWERS[params["name"]] if method == "tools/call" else {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        result = answer(request["method"], request.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
