-- Where costs came from. Few and narrow tables: every hook's process reads the schema.

-- What a transcript adds to the contexts of its conversations, in the order of its lines (JSON, domain/context.rs):
-- sizes, names and ids. A part is what was read at once, from and to an offset in bytes.
CREATE TABLE context_parts (path TEXT, start INTEGER, until INTEGER, entries TEXT, PRIMARY KEY (path, start)) WITHOUT ROWID;

-- A cache: how a session's usage is shared out among what stood in its contexts (JSON, store/shares.rs). It holds while
-- `stamp` is the session's, and `prices` the version of the price table.
CREATE TABLE shares (session INTEGER PRIMARY KEY, stamp INTEGER, prices INTEGER, body TEXT);
ALTER TABLE sessions ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;

-- Changes of the agent's own list of tasks, by the call that made them (JSON).
CREATE TABLE task_changes (session INTEGER, tool_use_id TEXT, at INTEGER, kind TEXT, PRIMARY KEY (session, tool_use_id)) WITHOUT ROWID;

-- Steps that were named by hand.
CREATE TABLE steps (session INTEGER, started_at INTEGER, ended_at INTEGER, name TEXT, PRIMARY KEY (session, started_at, name)) WITHOUT ROWID;

-- tiktoken's own counts, beside the calibrated estimates; NULL in rows of before, whose estimates were plain counts.
ALTER TABLE tool_calls ADD COLUMN raw_generated_tokens INTEGER;
ALTER TABLE tool_calls ADD COLUMN raw_returned_tokens INTEGER;
