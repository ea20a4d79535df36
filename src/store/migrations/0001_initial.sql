-- The ledger's first schema. Times are UTC milliseconds, sizes bytes, counts tokens.
-- A ledger is told from other SQLite files by its application_id ("Tall").
-- No column holds content: no prompt, command, path of a file read or written, or output.

-- Keys of this ledger. `hash_key` makes input hashes useless outside of it.
PRAGMA application_id = 1415670892;

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('hash_key', randomblob(16));

CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  client TEXT NOT NULL,
  client_version TEXT,
  kind TEXT,
  project TEXT,
  -- 1 if the client named the project; else it is a folder that was seen, and may be below it.
  project_named INTEGER NOT NULL DEFAULT 0,
  git_branch TEXT,
  topic TEXT,
  -- How good a source the topic came from; a better one replaces it.
  topic_rank INTEGER NOT NULL DEFAULT 0,
  model TEXT,
  transcript_path TEXT,
  -- When hooks and the transcript first and last spoke. Kept apart: old logs can be read much later.
  hook_first_at INTEGER,
  hook_last_at INTEGER,
  log_first_at INTEGER,
  log_last_at INTEGER,
  last_seen_at INTEGER NOT NULL,
  ended_at INTEGER,
  end_reason TEXT,
  -- NULL while a turn is under way.
  finalized_at INTEGER,
  -- Tool calls up to this row were followed by a response that is known.
  settled_call INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_project ON sessions (project, last_seen_at);

-- Written on the client's hot path: one index, which is also the way to a session's rows. Its NULLs are
-- distinct, so calls of clients that send no tool_use_id each get a row.
CREATE TABLE tool_calls (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  tool_use_id TEXT,
  tool TEXT NOT NULL,
  agent_id TEXT,
  agent_type TEXT,
  at INTEGER NOT NULL,
  duration_ms INTEGER,
  -- 1 ok, 0 failed, NULL if only PostToolBatch told of it.
  ok INTEGER,
  generated_tokens INTEGER NOT NULL,
  generated_method TEXT NOT NULL,
  returned_tokens INTEGER NOT NULL,
  returned_method TEXT NOT NULL,
  -- 1 if `returned` is of the exact text, from PostToolBatch.
  refined INTEGER NOT NULL,
  input_bytes INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  input_hash INTEGER,
  action_type TEXT NOT NULL,
  action_name TEXT,
  model TEXT,
  lines_added INTEGER NOT NULL DEFAULT 0,
  lines_removed INTEGER NOT NULL DEFAULT 0,
  UNIQUE (session, tool_use_id)
);

-- API responses, each once whatever number of records and files tell of it. `source` is 0 for the main
-- conversation, 1 for a sidechain, 2 for an echo; with `file_start`, the time of the file's first dated record, it
-- decides whose the response is. `copied` is 1 for a fork's copy whose original was not read yet: it counts, but not
-- for the fork.
CREATE TABLE responses (
  message_id TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  agent_id TEXT,
  copied INTEGER NOT NULL,
  source INTEGER NOT NULL,
  file_start INTEGER,
  at INTEGER,
  model TEXT,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  complete INTEGER NOT NULL,
  skill TEXT
) WITHOUT ROWID;
CREATE INDEX responses_by_session ON responses (session, at);

-- Turns: what the user (or the client for him) submitted. `uuid` is the transcript's; a row that only a hook
-- told of has none yet.
CREATE TABLE prompts (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  uuid TEXT UNIQUE,
  prompt_id TEXT,
  at INTEGER,
  file_start INTEGER
);
CREATE INDEX prompts_by_session ON prompts (session, prompt_id);

-- A row that only hooks told of has no `uuid`; the transcript's compact_boundary takes its place.
CREATE TABLE compactions (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  uuid TEXT UNIQUE,
  prompt_id TEXT,
  trigger TEXT NOT NULL,
  at INTEGER,
  tokens_before INTEGER,
  tokens_after INTEGER,
  file_start INTEGER
);
CREATE INDEX compactions_by_session ON compactions (session);

CREATE TABLE agent_runs (
  session INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  agent_type TEXT,
  tool_use_id TEXT,
  started_at INTEGER,
  ended_at INTEGER,
  -- The same by the run's transcript.
  log_first_at INTEGER,
  log_last_at INTEGER,
  -- What the defaults table says that a run of the type is billed; shown until the run's transcript tells.
  default_billed_tokens INTEGER,
  PRIMARY KEY (session, agent_id)
) WITHOUT ROWID;

-- How far each transcript was read. A file whose fingerprint has changed was written anew
-- and is read again.
CREATE TABLE transcripts (
  path TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  agent_id TEXT,
  offset INTEGER NOT NULL,
  size INTEGER NOT NULL,
  modified_at INTEGER,
  fingerprint INTEGER NOT NULL,
  file_start INTEGER,
  starts_with_note INTEGER NOT NULL,
  -- Whether the last record of the conversation is an answer, so that no late line is to be waited for.
  answered INTEGER NOT NULL,
  -- Lines that are no records, over all readings.
  skipped_lines INTEGER NOT NULL
) WITHOUT ROWID;
