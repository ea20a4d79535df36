#!/usr/bin/env python3
"""Works out where a session's cost came from, from the definition alone (src/attribution/README.md).

    scripts/allocations-independent.py TALLYHOOK [TRANSCRIPT...]

It shares none of the program's code but the token counter (`tallyhook count`, which is tiktoken to the token). Each main
TRANSCRIPT is read by it and, into a ledger of its own, by TALLYHOOK; then entry and carry tokens are compared tool by
tool and class by class. Subagents' own files, forks, images, contexts of more
than 4,096 entries and hand-edited logs are not what it is for. Without a TRANSCRIPT it takes captured
scenarios that have none of these.
"""
import glob, json, os, subprocess, sys, tempfile
from collections import defaultdict

OLD = ("claude-2", "claude-3", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2", "claude-opus-4-5",
       "claude-opus-4-6", "claude-sonnet-4", "claude-haiku-4", "claude-instant")
NOT_SENT = {"hook_success", "hook_system_message", "prompt_snapshot", "deferred_tools_record", "command_permissions"}
OF_USER = {"file", "queued_command"}
TEXTS = ["content", "text", "snippet", "prompt", "files", "addedLines", "addedBlocks", "skills"]
WRAPPER = 10
SENTENCES = {"task_reminder": 70, "edited_text_file": 60, "hook_additional_context": 12}
CLASSES = ["input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"]


def scalars(value):
    """Names, texts and literals of a JSON value, in order."""
    texts, literals = [], []

    def walk(value):
        if isinstance(value, dict):
            for name, member in value.items():
                texts.append(name)
                walk(member)
        elif isinstance(value, list):
            for element in value:
                walk(element)
        elif isinstance(value, str):
            texts.append(value)
        else:
            literals.append(json.dumps(value))

    walk(value)
    return texts + ([" ".join(literals)] if literals else [])


def written(block):
    if isinstance(block, str):
        return [block]
    texts = [block[name] for name in ("text", "thinking", "name") if isinstance(block.get(name), str)]
    return texts + (scalars(block["input"]) if "input" in block else [])


def read(content):
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list) or not content:
        return scalars(content)
    texts = []
    for block in content:
        if isinstance(block, str):
            texts.append(block)
        elif isinstance(block, dict) and block.get("type") == "text":
            texts.append(block.get("text", ""))
        elif isinstance(block, dict) and block.get("type") in ("image", "document"):
            raise SystemExit("an image or document: not for this script")
        else:
            texts += scalars(block)
    return texts


def conversations(path):
    """The lines of each conversation: the main one, and subagents whose messages old clients echo in its file."""
    found = {None: []}
    for line in open(path, encoding="utf-8"):
        try:
            line = json.loads(line)
        except ValueError:
            continue
        if line.get("type") == "progress":
            data = line.get("data") or {}
            if isinstance(data.get("message"), dict):
                found.setdefault(data.get("agentId"), []).append(data["message"])
        else:
            found[None].append(line)
    return found.values()


def entries(lines):
    """(kind, ...) with texts that are still to be counted."""
    skill_call = None
    for line in lines:
        kind = line.get("type")
        if kind == "assistant":
            message = line["message"]
            blocks = message.get("content")
            if message.get("model") == "<synthetic>":
                continue
            parts = []
            blocks = [blocks] if isinstance(blocks, str) else blocks
            for block in blocks:
                name = block.get("type") if isinstance(block, dict) else "text"
                who = {"thinking": "thinking", "redacted_thinking": "thinking"}.get(name, "text")
                parts.append((block["id"], block["name"]) if name == "tool_use" else who)
                parts[-1] = (parts[-1], written(block))
            skills = [block["id"] for block in blocks if isinstance(block, dict) and block.get("name") == "Skill"]
            skill_call = skills[-1] if skills else None
            yield "response", message["id"], message, parts
        elif kind == "user":
            content = line["message"].get("content")
            if line.get("isCompactSummary"):
                yield "summary", read(content)
                continue
            other = read(content) if isinstance(content, str) else []
            for block in content if isinstance(content, list) else []:
                if block.get("type") == "tool_result":
                    yield "result", block["tool_use_id"], read(block.get("content", "")) if "content" in block else []
                else:
                    other += read([block])
            if other:
                call = line.get("sourceToolUseID") or skill_call
                yield ("call text", call, other) if line.get("isMeta") and call else ("prompt", other)
        elif kind == "attachment":
            attachment = line["attachment"]
            name = attachment.get("type")
            if name in NOT_SENT:
                continue
            extra = 0
            if line.get("rendered"):
                extra = -WRAPPER
                texts = [text for part in line["rendered"] for text in read(part.get("content", ""))]
            else:
                found = next((attachment[text] for text in TEXTS if attachment.get(text) is not None), [])
                extra = SENTENCES.get(name, 0)
                if name == "task_reminder":
                    subjects = [task["subject"] for task in found if task.get("subject") is not None]
                    texts, extra = subjects, extra + 6 * len(subjects)
                else:
                    inner = found.get("content") if isinstance(found, dict) else None
                    texts = read(found if inner is None else inner)
            if name in OF_USER:
                yield "prompt", texts
            else:
                yield "note", extra, texts
        elif kind == "system" and line.get("subtype") == "compact_boundary":
            yield ("compaction",)


def count(tallyhook, texts):
    """Tokens of each text, asked once."""
    with tempfile.TemporaryDirectory() as folder:
        unique = sorted(set(texts))
        names = []
        for number, text in enumerate(unique):
            names.append(os.path.join(folder, str(number)))
            with open(names[-1], "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
        found = {}
        for start in range(0, len(names), 500):
            part = names[start:start + 500]
            out = subprocess.run([tallyhook, "count", "--json", *part], check=True, capture_output=True).stdout
            for text, file in zip(unique[start:], json.loads(out)["files"]):
                found[text] = file["tokens"]
        return found


def usage(message):
    raw = message["usage"]
    writes = raw.get("cache_creation") or {}
    long = writes.get("ephemeral_1h_input_tokens") or 0
    total = raw.get("cache_creation_input_tokens") or 0
    return [raw.get("input_tokens") or 0, total - long, long, raw.get("cache_read_input_tokens") or 0]


def share(amount, sizes):
    total, parts, sofar, end = sum(sizes), [], 0, 0
    if total == 0:
        return [amount if place == 0 else 0 for place in range(len(sizes))]
    for size in sizes:
        sofar += size
        start, end = end, amount * sofar // total
        parts.append(end - start)
    return parts


def attribute(conversation, tallyhook, tools, paid):
    lines = list(entries(conversation))
    texts = [text for line in lines for text in texts_of(line)]
    tokens = count(tallyhook, texts)
    size = lambda texts: sum(tokens[text] for text in texts)
    final, order = {}, []
    for line in lines:
        if line[0] == "response":
            known = final.get(line[1])
            rank = lambda message: (message.get("stop_reason") is not None, message["usage"].get("output_tokens") or 0)
            if known is None:
                order.append(line[1])
            if known is None or rank(line[2]) >= rank(known):
                final[line[1]] = line[2]
    live, pending, last, wrote = [], [], None, []
    seen, had_prompt, compacted, last_call = set(), False, False, None

    def settle():
        if last is None:
            return
        for (who, _), part in zip(wrote, share(final[last]["usage"].get("output_tokens") or 0, [w for _, w in wrote])):
            paid[who.lstrip("~")]["entry"][4] += part
        if not wrote:
            paid["(output)"]["entry"][4] += final[last]["usage"].get("output_tokens") or 0

    for line in lines:
        kind = line[0]
        if kind == "response":
            _, ident, message, parts = line
            if ident != last:
                if ident in seen:
                    continue
                settle()
                seen.add(ident)
                prompt = usage(final[ident])
                total = sum(prompt)
                if total:
                    model = final[ident]["model"].replace(".", "-").replace("@", "-").lower()
                    percent = 116 if any(old in model for old in OLD) or model.endswith("claude-opus-4") else 170
                    if compacted:
                        live = [("(system prompt)", min(total, sum(size for who, size in live if who == "(system prompt)")))]
                    out = share(final[last]["usage"].get("output_tokens") or 0, [w for _, w in wrote]) if last else []
                    made = [(who.lstrip("~"), part) for (who, _), part in zip(wrote, out)
                            if not (who.startswith("~") and had_prompt)]
                    came = [(who, -(-weight * percent // 100)) for who, weight in pending]
                    first, old = not live, sum(part for _, part in live)
                    expected = sum(part for _, part in made + came)
                    grown, mark = max(total - old, 0), len(live)
                    fit = lambda parts, total: list(zip([who for who, _ in parts], share(total, [p for _, p in parts])))
                    if total < old:
                        rest = max(total - expected, 0)
                        live = fit(live, rest) + fit(made + came, total - rest)
                    elif first:
                        known = min(expected, total)
                        live = [("(system prompt)", total - known)] + fit(made + came, known)
                    elif grown < expected:
                        live += fit(made + came, grown)
                    else:
                        rest = grown - sum(part for _, part in made)
                        believed = min(rest, sum(part for _, part in came) * 3 + 1000) if came else 0
                        live += made + fit(came, believed)
                        if rest > believed:
                            live.append(("(system prompt)", rest - believed))
                    old_part, new_part = live[:mark], live[mark:]
                    new, old = sum(part for _, part in new_part), sum(part for _, part in old_part)
                    fresh = sum(prompt[:3])
                    if old == 0:
                        for_new, for_old = prompt, [0] * 4
                    elif new == 0:
                        for_new, for_old = [0] * 4, prompt
                    elif fresh <= new:
                        rest = min(prompt[3], new - fresh)
                        for_new, for_old = prompt[:3] + [rest], [0, 0, 0, prompt[3] - rest]
                    else:
                        for_new = share(new, prompt[:3]) + [0]
                        for_old = [a - b for a, b in zip(prompt, for_new)]
                    for group, amounts, phase in ((new_part, for_new, "entry"), (old_part, for_old, "carry")):
                        for place, amount in enumerate(amounts):
                            for (who, _), part in zip(group, share(amount, [p for _, p in group])):
                                paid[who][phase][place] += part
                    pending, had_prompt, compacted = [], False, False
                last, wrote = ident, []
            thinking = sum(max(size(texts), 1) for who, texts in parts if who == "thinking")
            text = sum(size(texts) for who, texts in parts if who == "text")
            wrote += [("~(output)", thinking)] * (thinking > 0) + [("(output)", text)] * (text > 0)
            for who, texts in parts:
                if isinstance(who, tuple):
                    last_call = who[1]
                    if who[0] not in tools:
                        tools[who[0]] = who[1]
                        wrote.append((who[1], max(size(texts), 1)))
        elif kind == "result":
            pending.append((tools.get(line[1], "(system prompt)"), max(size(line[2]), 1)))
        elif kind == "call text":
            pending.append((tools.get(line[1]) or last_call or "(prompts)", size(line[2])))
        elif kind == "prompt":
            had_prompt |= size(line[1]) > 0
            if size(line[1]):
                pending.append(("(prompts)", size(line[1])))
        elif kind == "note":
            known = size(line[2]) + line[1]
            if known > (-WRAPPER if line[1] < 0 else 0):
                pending.append(("(system prompt)", known + WRAPPER))
        elif kind == "summary":
            pending.append(("(summary)", size(line[1])))
        elif kind == "compaction":
            settle()
            last, wrote, pending, compacted = None, [], [], True
    settle()
    for message in final.values():
        for part in message["usage"].get("iterations") or []:
            if part.get("type") == "advisor_message":
                for place, amount in enumerate(usage({"usage": part}) + [part.get("output_tokens") or 0]):
                    paid["advisor"]["entry"][place] += amount


def texts_of(line):
    """The texts in an entry."""
    if line[0] == "response":
        return [text for _, texts in line[3] for text in texts]
    return line[-1] if isinstance(line[-1], list) else []


def captured():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/fixtures/claude-code/2.1.330/transcripts")
    scenarios = ["agents", "compact-auto", "compact-manual", "denied", "interactive", "parallel", "reread", "search", "tty-interrupt"]
    return sorted(path for scenario in scenarios for path in glob.glob(f"{folder}/{scenario}/*/*.jsonl"))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tallyhook = os.path.abspath(sys.argv[1])
    failed = 0
    for path in sys.argv[2:] or captured():
        ours, tools = defaultdict(lambda: {"entry": [0] * 5, "carry": [0] * 5}), {}
        for conversation in conversations(path):
            attribute(conversation, tallyhook, tools, ours)
        with tempfile.TemporaryDirectory() as home:
            env = dict(os.environ, HOME=home, TALLYHOOK_DB=home + "/ledger.db", XDG_CONFIG_HOME=home)
            env.pop("CLAUDE_CONFIG_DIR", None)
            subprocess.run([tallyhook, "import", "--path", path], check=True, env=env, stdout=subprocess.DEVNULL)
            rows = json.loads(subprocess.run([tallyhook, "tools", "--json"], check=True, env=env,
                                             capture_output=True).stdout)["rows"]
        theirs = {row["tool"]: (row["entry_tokens"], row["carry_tokens"]) for row in rows
                  if row["tool"] not in ("(hidden)", "(none)") and row["entry_tokens"] + row["carry_tokens"] > 0}
        mine = {who: (sum(part["entry"]), sum(part["carry"])) for who, part in ours.items()}
        mine = {who: both for who, both in mine.items() if any(both)}
        different = {who: (mine.get(who), theirs.get(who)) for who in mine.keys() | theirs.keys()
                     if mine.get(who) != theirs.get(who)}
        failed |= bool(different)
        total = sum(sum(both) for both in mine.values())
        print(f"{os.path.basename(path)}: {len(mine)} rows, {total} tokens, different: {different or 'none'}")
    sys.exit(failed)


main()
