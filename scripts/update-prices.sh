#!/usr/bin/env bash
# Compares crates/prices/prices.toml with a newer price table and shows what it would change.
#
#   scripts/update-prices.sh [--write] [--date YYYY-MM-DD] [--source "litellm 1.109.1"] FILE
#
# FILE is litellm's model_prices_and_context_window.json or the data of genai-prices, fetched by you: this script reads
# no network. --date is the day from which a changed price holds (today, unless told). It prints a summary and the
# difference, and changes the file only with --write.
#
# What it does: adds models of the providers that prices.toml lists; adds a dated row where a model's price has changed;
# adds dates of past and coming changes that the table did not know. What it never does: drop or change a price or a
# model, or let one table contradict a price that was read in the other (it says so instead). Of models that are known
# it compares the rates and nothing else; the versions in the file's head are changed by hand. Comments inside a stanza
# that it changes are lost; those above it stay. `cargo test -p tallyhook-prices` and `cargo test --lib pricing` afterwards.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command -v python3 >/dev/null || { echo "update-prices: needs python3 (3.11 or later), which is not here" >&2; exit 1; }
exec python3 - "$repo/crates/prices/prices.toml" "$@" <<'PYTHON'
import argparse, datetime, difflib, json, re, sys
from decimal import Decimal

try:
    import tomllib
except ImportError:
    sys.exit("update-prices: needs python3 3.11 or later (tomllib)")

TABLE = sys.argv.pop(1)
RATES = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"]
LITELLM = {
    "anthropic": "anthropic", "openai": "openai", "gemini": "google", "xai": "xai", "deepseek": "deepseek",
    "moonshot": "moonshot", "dashscope": "alibaba", "zai": "zai", "mistral": "mistral", "minimax": "minimax",
    "github_copilot": "github",
}
GENAI = {"anthropic": "anthropic", "openai": "openai", "google": "google", "x-ai": "xai", "deepseek": "deepseek",
         "moonshotai": "moonshot"}
# Whose models a provider's list is read for; others stand there under foreign names and prices.
OWN = {"google": r"gemini-(?!exp)", "alibaba": r"qw", "github": r"mai-", "deepseek": r"deepseek-",
       "moonshot": r"kimi-", "mistral": r"(?!glm|zai|deepseek|labs|ministral|open-|mistral-(ocr|tiny))"}
# No coding agent talks to these: sound, pictures, fine-tuning, tools, other units than tokens, and what was gone before
# the first of them.
NOT_TEXT = re.compile(
    r"tts|audio|-live|realtime|image|embed|robotics|lyria|omni|computer-use|voice|voxtral|transcri|search-(preview|api)"
    r"|moderation|^ft:|\.ft-|:|container|deep-research|gemma|learnlm|davinci|babbage|curie|^ada$|whisper|dall-e|sora"
    r"|veo|imagen|nano-banana|vision|pixtral|-vl-|fim|safeguard|^gpt-3|^gpt-4-32k"
    r"|^gemini-(1|pro$|pro-1|flash-1)|^claude-(2|v1|instant)|^grok-2")
DATED = re.compile(r"(-\d{8}|-\d{4}-\d\d-\d\d|-latest)$")


def number(value):
    """A decimal as short as it can be written."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def million(value):
    return None if value is None else Decimal(repr(value)) * 1_000_000


def sound(row):
    return row if row.get("input") is not None and row.get("output") is not None else None


# --- litellm -----------------------------------------------------------------------------------------------------

def litellm_row(entry, suffix=""):
    ignored = ["cache_creation_input_token_cost"] if entry.get("litellm_provider") == "gemini" else []

    def get(name):
        value = million(entry.get(name + suffix))
        # A cache price of 0 stands for none, and Google's of writing for storing.
        return None if name.startswith("cache") and not value or name in ignored else value
    return sound({
        "input": get("input_cost_per_token"), "output": get("output_cost_per_token"),
        "cache_read": get("cache_read_input_token_cost"), "cache_write_5m": get("cache_creation_input_token_cost"),
        "cache_write_1h": get("cache_creation_input_token_cost_above_1hr"),
    })


def peak_hours(windows):
    """The hours outside of the off-peak ones, if weekends are off-peak as a whole; else None."""
    days = {tuple(window["weekdays"]): window["hours_utc"] for window in windows}
    if days.get((6, 7)) != "00:00-00:00" or set(days) != {(1, 2, 3, 4, 5), (6, 7)}:
        return None
    spans = [span.split("-") for span in days[(1, 2, 3, 4, 5)]]
    ends = ["00:00"] + [edge for span in spans for edge in span]
    gaps = [(ends[at], ends[at + 1]) for at in range(0, len(ends) - 1, 2)]
    return [f"{start}-{end}" for start, end in gaps if start != end]


def read_litellm(table):
    models = {}
    for key, entry in table.items():
        provider = LITELLM.get(entry.get("litellm_provider")) if isinstance(entry, dict) else None
        if provider is None or entry.get("mode") not in ("chat", "responses", None):
            continue
        name = key.split("/")[-1].lower()
        if NOT_TEXT.search(name) or not re.match(OWN.get(provider, ""), name):
            continue
        rows, off = [], entry.get("off_peak_pricing")
        tiers = entry.get("tiered_pricing")
        if tiers:
            for tier in tiers:
                row = litellm_row(tier)
                if row:
                    rows.append({"over": int(tier["range"][0]), **row})
        elif base := litellm_row(entry):
            hours = peak_hours(off["windows"]) if off else None
            if hours:
                rows.append(litellm_row(off))
                rows.append({"hours": hours, "weekdays": True, **base})
            else:
                rows.append(base)
            for suffix in sorted({m.group(0) for k in entry if (m := re.search(r"_above_(\d+)k_tokens$", k))}):
                row = litellm_row(entry, suffix)
                if row:
                    writes = million(entry.get("cache_creation_input_token_cost_above_1hr" + suffix))
                    row["cache_write_1h"] = writes or None
                    rows.append({"over": int(re.search(r"\d+", suffix).group()) * 1000, **row})
        rows = [dict(row, over=row.get("over", 0)) for row in rows]
        if not rows or (all(row["input"] == 0 for row in rows) and provider != "zai"):
            continue
        model = {"provider": provider, "window": entry.get("max_input_tokens"), "rows": rows, "aliases": []}
        search = (entry.get("search_context_cost_per_query") or {}).get("search_context_size_medium")
        if search:
            model["web_search"] = Decimal(repr(search))
        fast = {
            Decimal(repr(entry[name + "_priority"])) / Decimal(repr(entry[name]))
            for name in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
            if entry.get(name) and entry.get(name + "_priority")
        }
        if provider == "openai" and len(fast) == 1 and (factor := fast.pop()) == round(factor, 2):
            model["fast"] = factor
        models[name] = model
    return models


# --- genai-prices ------------------------------------------------------------------------------------------------

def genai_rows(prices, from_, hours):
    names = {"input": "input_mtok", "output": "output_mtok", "cache_read": "cache_read_mtok",
             "cache_write_5m": "cache_write_mtok", "cache_write_1h": "cache_write_1h_mtok"}
    starts = sorted({tier["start"] for value in prices.values() if isinstance(value, dict) for tier in value["tiers"]})
    for start in [0] + starts:
        row = {}
        for rate, name in names.items():
            value = prices.get(name)
            if isinstance(value, dict):
                value = next((t["price"] for t in reversed(value["tiers"]) if start and t["start"] <= start), value["base"])
            row[rate] = None if value is None else Decimal(repr(value))
        if sound(row):
            # xAI writes the last token without the higher price.
            over = start + 1 if start % 10 == 9 else start
            yield {"over": over, **({"from": from_} if from_ else {}), **({"hours": hours} if hours else {}), **row}


def read_genai(table):
    providers = table.items() if isinstance(table, dict) else ((p["id"], p) for p in table)
    models = {}
    for key, provider in providers:
        provider, entries = GENAI.get(key), provider["models"]
        for entry in entries if provider else []:
            name = entry["id"].lower()
            if NOT_TEXT.search(name) or not re.match(OWN.get(provider, ""), name) or "prices" not in entry:
                continue
            lists = entry["prices"] if isinstance(entry["prices"], list) else [{"prices": entry["prices"]}]
            if any("start_time" in part.get("constraint", {}) for part in lists):
                print(f"  {name}: has prices by the hour; litellm has the days too, so it is left out here")
                continue
            rows, search = [], None
            for part in lists:
                rows += genai_rows(part["prices"], part.get("constraint", {}).get("start_date"), None)
                search = part["prices"].get("web_searches_kcount", search)
            # A tier that the next list does not have ends with that list.
            for at, row in enumerate(rows):
                later = sorted({r["from"] for r in rows if r.get("from") and r["from"] > row.get("from", "")})
                if row["over"] and later and not any(r["over"] == row["over"] and r.get("from") == later[0] for r in rows):
                    rows[at]["until"] = later[0]
            kept = []
            for row in rows:
                same = [old for old in kept if old["over"] == row["over"]]
                if not same or rates_of(same[-1]) != rates_of(row):
                    kept.append(row)
            if not kept or all(row["input"] == 0 for row in kept):
                continue
            aliases = sorted(set(equals(entry.get("match", {}))) - {name})
            models[name] = {"provider": provider, "window": entry.get("context_window"), "rows": kept,
                            "aliases": [a for a in aliases if not DATED.sub("", a) == name and not NOT_TEXT.search(a)]}
            if search:
                models[name]["web_search"] = Decimal(repr(search)) / 1000
    return models


def equals(match):
    for key, value in match.items():
        if key == "equals":
            yield value.lower()
        elif key == "or_":
            for part in value:
                yield from equals(part)


# --- ours --------------------------------------------------------------------------------------------------------

def rates_of(row):
    """The five rates, with what a missing one stands for."""
    read = row.get("cache_read")
    short = row["input"] if row.get("cache_write_5m") is None else row["cache_write_5m"]
    long = short if row.get("cache_write_1h") is None else row["cache_write_1h"]
    return (row["input"], row["output"], row["input"] if read is None else read, short, long)


def group(row):
    return (row.get("over", 0), tuple(row.get("hours", ())), row.get("weekdays", False))


def read_ours(text):
    table = tomllib.loads(text, parse_float=Decimal)
    models = table["models"]
    for model in models.values():
        model["rows"] = [
            {k: str(v) if isinstance(v, datetime.date) else v for k, v in row.items()} for row in model.pop("prices")]
        model.setdefault("aliases", [])
    return table, models


def in_force(rows, date):
    """By group, the row that holds on that day."""
    found = {}
    for row in sorted(rows, key=lambda row: row.get("from") or ""):
        starts = row.get("from") is None or row["from"] <= date or (group(row) not in found and group(row)[0] == 0)
        if starts and not (row.get("until") and row["until"] <= date):
            found[group(row)] = row
    return found


def stanza(name, model):
    quoted = name if re.fullmatch(r"[a-z0-9_-]+", name) else f'"{name}"'
    lines = [f"[models.{quoted}]", f'provider = "{model["provider"]}"', f'source = "{model["source"]}"']
    if model["aliases"]:
        lines.append("aliases = [" + ", ".join(f'"{alias}"' for alias in model["aliases"]) + "]")
    for key in ("released", "window", "fast", "fast_until", "us", "regional", "batch", "web_search"):
        if model.get(key) is not None:
            value = model[key]
            value = f"{value:_}" if key == "window" else number(value) if isinstance(value, Decimal) else value
            lines.append(f"{key} = {value}")
    lines.append("prices = [")
    for row in sorted(model["rows"], key=lambda row: (group(row), row.get("from") or "")):
        parts = []
        if row.get("over"):
            parts.append(f"over = {row['over']:_}")
        parts += [f"{key} = {row[key]}" for key in ("from", "until") if row.get(key)]
        if row.get("hours"):
            parts.append("hours = [" + ", ".join(f'"{span}"' for span in row["hours"]) + "]")
        if row.get("weekdays"):
            parts.append("weekdays = true")
        short = row["input"] if row.get("cache_write_5m") is None else row["cache_write_5m"]
        for rate in RATES + ["web_search"]:
            value = row.get(rate)
            implied = {"cache_read": row["input"], "cache_write_5m": row["input"], "cache_write_1h": short}.get(rate)
            if value is not None and (value != implied or rate == "cache_read"):
                parts.append(f"{rate} = {number(Decimal(value))}")
        lines.append("  { " + ", ".join(parts) + " },")
    return "\n".join(lines + ["]", ""])


def without_twins(models):
    """Names that only say a date or a variant of a model at its very price become its aliases, or go."""
    def same(one, other):
        return ({k: v for k, v in one.items() if k != "aliases"}
                == {k: v for k, v in other.items() if k != "aliases"})
    for name in sorted(models, key=len, reverse=True):
        for shorter in sorted(models, key=len):
            if name.startswith(shorter + "-") and same(models[name], models[shorter]):
                if DATED.sub("", name) != shorter:
                    models[shorter]["aliases"].append(name)
                models[shorter]["aliases"] += models.pop(name)["aliases"]
                models[shorter]["aliases"].sort()
                break
    return models


def update(ours, providers, theirs, source, date):
    """Brings `ours` up to date; returns the names of the models that have changed, and prints what differs."""
    changed = set()
    owner = {alias: name for name, model in ours.items() for alias in [name, *model["aliases"]]}
    new = {}
    for name, model in sorted(theirs.items()):
        known = owner.get(name) or owner.get(DATED.sub("", name))
        if known is None:
            new[name] = model
            continue
        mine = ours[known]
        now, then = in_force(mine["rows"], date), in_force(model["rows"], date)
        differs = [key for key in then if key in now and rates_of(now[key]) != rates_of(then[key])]
        differs += [key for key in then if key not in now]
        if differs and name not in owner:
            # A dated variant with a price of its own is a model of its own.
            new[name] = model
            continue
        if differs:
            same_source = source.split()[0] == mine["source"].split()[0] or mine["provider"] == "anthropic"
            what = ", ".join(f"{number(rates_of(now[k])[0])}/{number(rates_of(now[k])[1])}" if k in now else "no tier" for k in differs)
            what += " → " + ", ".join("/".join(map(number, rates_of(then[k])[:2])) for k in differs)
            if not same_source:
                print(f"  {known}: {name} disagrees with the price read in {mine['source']}: {what}; left as it is")
                continue
            print(f"  {known}: new price from {date}: {what}")
            mine["rows"] += [dict(then[key], **{"from": date}) for key in differs]
            changed.add(known)
            continue
        for key, row in then.items():
            # Equal today: what else they know of its past and future is taken over.
            mine_of, theirs_of = ([r for r in rows if group(r) == key] for rows in (mine["rows"], model["rows"]))
            dates = {r.get("from") for r in mine_of}
            fresh = [r for r in theirs_of if r.get("from") and r["from"] not in dates]
            if fresh and name == known:
                if now[key].get("from") is None and row.get("from"):
                    # Our only price was the newest of theirs: it gets its date, and their older ones come before it.
                    now[key]["from"] = row["from"]
                    fresh = [r for r in theirs_of if r is not row]
                mine["rows"] += fresh
                print(f"  {known}: {len(fresh)} more dated prices")
                changed.add(known)
    for name, model in without_twins(new).items():
        model["source"] = source
        model["aliases"] = [a for a in model["aliases"] if a not in owner and a not in new]
        usual = Decimal(providers.get(model["provider"], {}).get("web_search", Decimal("0.01")))
        if model.get("web_search") == usual:
            del model["web_search"]
        ours[name] = model
        owner.update({alias: name for alias in [name, *model["aliases"]]})
        print(f"  {name}: new")
        changed.add(name)
    return changed


def main():
    arguments = argparse.ArgumentParser(prog="update-prices.sh")
    arguments.add_argument("file")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--date", default=str(datetime.date.today()), type=lambda d: str(datetime.date.fromisoformat(d)))
    arguments.add_argument("--source", help="the name and version of the table, as the stanzas are to show it")
    options = arguments.parse_args()
    try:
        with open(options.file, encoding="utf-8") as file:
            table = json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"update-prices: cannot read {options.file}: {error}")
    is_litellm = isinstance(table, dict) and any("litellm_provider" in v for v in table.values() if isinstance(v, dict))
    source = options.source or ("litellm" if is_litellm else "genai-prices") + " " + options.date
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    whole, ours = read_ours(text)
    theirs = read_litellm(table) if is_litellm else read_genai(table)
    theirs = {name: model for name, model in theirs.items() if model["provider"] in whole["providers"]}
    print(f"{source}: {len(theirs)} models of our providers; prices.toml has {len(ours)}")
    changed = update(ours, whole["providers"], theirs, source, options.date)
    # A stanza begins with the comment above its heading.
    blocks, lines = [""], text.splitlines(True)
    for at, line in enumerate(lines):
        below = next((later for later in lines[at:] if not later.startswith("#")), "")
        inside = at and lines[at - 1].startswith("#")
        if below.startswith("[models.") and (line.startswith("#") or line is below) and not inside:
            blocks.append("")
        blocks[-1] += line
    head = re.sub(r"(?m)^date = .*", f"date = {max(options.date, str(whole['date']))}", blocks[0])
    kept = {}
    for block in blocks[1:]:
        comment, heading = re.match(r"((?:#[^\n]*\n)*)\[models\.\"?([^\"\]]+)", block).groups()
        kept[heading] = (comment + stanza(heading, ours[heading]) + "\n") if heading in changed else block
    order = list(whole["providers"])
    for name in ours:
        kept.setdefault(name, stanza(name, ours[name]) + "\n")
    # By provider, then as they stand or, if they are new, by name behind those.
    names = sorted(kept, key=lambda name: order.index(ours[name]["provider"]))
    result = head + "".join(kept[name].rstrip("\n") + "\n\n" for name in names)
    result = result.rstrip("\n") + "\n"
    sys.stdout.writelines(difflib.unified_diff(
        text.splitlines(True), result.splitlines(True), "prices.toml", "prices.toml (new)", n=1))
    if options.write and result != text:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(result)
        print(f"prices.toml is written: {len(changed)} models added or changed")
    elif result != text:
        print(f"{len(changed)} models to add or change; --write does it")
    else:
        print("nothing to change")


main()
PYTHON
