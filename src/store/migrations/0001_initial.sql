-- The schema. What each column means is in docs/schema.md. SQLite keeps the text of a statement with its comments, and every
-- hook's process reads it all: so comments stand between statements, and tables are few and narrow.
-- Times are UTC milliseconds, sizes bytes, counts tokens. No column holds content: no prompt, command, path of a file that was
-- read or written, or output.

-- A ledger is told from other SQLite files by this number ("Tall").
PRAGMA application_id = 1415670892;

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
-- Makes input hashes useless outside of this ledger.
INSERT INTO meta VALUES ('hash_key', randomblob(16));
-- Which ledger this is, so that a place in its changes is not taken for one in those of another.
INSERT INTO meta VALUES ('ledger_id', randomblob(16));

-- Times of hooks and of the transcript stand apart: old logs can be read much later. `changed` is negative if the session has
-- changed since somebody asked for changes (store/changes.rs): a writer only turns its sign, in a row that it writes anyway, and
-- whoever asks gives out the numbers.
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  client TEXT NOT NULL,
  client_version TEXT,
  kind TEXT,
  project TEXT,
  project_named INTEGER NOT NULL DEFAULT 0,
  git_branch TEXT,
  topic TEXT,
  topic_rank INTEGER NOT NULL DEFAULT 0,
  model TEXT,
  transcript_path TEXT,
  hook_first_at INTEGER,
  hook_last_at INTEGER,
  log_first_at INTEGER,
  log_last_at INTEGER,
  last_seen_at INTEGER NOT NULL,
  ended_at INTEGER,
  end_reason TEXT,
  finalized_at INTEGER,
  last_settled_call INTEGER NOT NULL DEFAULT 0,
  parent INTEGER,
  revision INTEGER NOT NULL DEFAULT 0,
  first_own_at INTEGER,
  forked_at INTEGER,
  changed INTEGER NOT NULL DEFAULT 0
);
-- Written on the client's hot path. With a time in it every event would move an entry, which is one page more for each.
CREATE INDEX sessions_by_project ON sessions (project);
CREATE INDEX sessions_by_parent ON sessions (parent) WHERE parent IS NOT NULL;

-- Written on the client's hot path: one index, which is also the way to a session's rows. Its NULLs are distinct, so calls of
-- clients that send no tool_use_id each get a row.
CREATE TABLE tool_calls (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  tool_use_id TEXT,
  tool TEXT NOT NULL,
  agent_id TEXT,
  agent_type TEXT,
  at INTEGER NOT NULL,
  duration_ms INTEGER,
  ok INTEGER,
  generated_tokens INTEGER NOT NULL,
  generated_method TEXT NOT NULL,
  returned_tokens INTEGER NOT NULL,
  returned_method TEXT NOT NULL,
  refined INTEGER NOT NULL,
  input_bytes INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  input_hash INTEGER,
  action_type TEXT NOT NULL,
  action_name TEXT,
  model TEXT,
  lines_added INTEGER NOT NULL DEFAULT 0,
  lines_removed INTEGER NOT NULL DEFAULT 0,
  hook_us INTEGER,
  raw_generated_tokens INTEGER,
  raw_returned_tokens INTEGER,
  UNIQUE (session, tool_use_id)
);

-- API responses, each once, whatever number of records and files tell of it. `source` and `file_started_at` decide whose it is.
CREATE TABLE responses (
  message_id TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  agent_id TEXT,
  copied INTEGER NOT NULL,
  source INTEGER NOT NULL,
  file_started_at INTEGER,
  at INTEGER,
  model TEXT,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  complete INTEGER NOT NULL,
  skill TEXT,
  branch TEXT,
  modifiers INTEGER NOT NULL DEFAULT 0,
  content_tokens INTEGER NOT NULL DEFAULT 0,
  iterations TEXT,
  request_hash INTEGER,
  line_hash INTEGER
) WITHOUT ROWID;
CREATE INDEX responses_by_session ON responses (session, at);
-- By what the responses are found that share their id with others: those of a gateway that has one id for all can be very
-- many. Few ledgers have any.
CREATE INDEX variants_by_request ON responses (request_hash) WHERE instr(message_id, '#');
CREATE INDEX variants_by_line ON responses (line_hash) WHERE instr(message_id, '#');
CREATE INDEX variants_by_time ON responses (at) WHERE instr(message_id, '#');
CREATE INDEX variants_by_prompt ON responses (session, input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens) WHERE instr(message_id, '#');

-- Turns. A row that only a hook told of has no `uuid` yet.
CREATE TABLE prompts (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  uuid TEXT UNIQUE,
  prompt_id TEXT,
  at INTEGER,
  file_started_at INTEGER
);
CREATE INDEX prompts_by_session ON prompts (session, prompt_id);

-- A row that only hooks told of has no `uuid`; the transcript's record takes its place.
CREATE TABLE compactions (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  uuid TEXT UNIQUE,
  prompt_id TEXT,
  trigger TEXT NOT NULL,
  at INTEGER,
  tokens_before INTEGER,
  tokens_after INTEGER,
  file_started_at INTEGER
);
CREATE INDEX compactions_by_session ON compactions (session);

CREATE TABLE agent_runs (
  session INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  agent_type TEXT,
  tool_use_id TEXT,
  started_at INTEGER,
  ended_at INTEGER,
  log_first_at INTEGER,
  log_last_at INTEGER,
  default_billed_tokens INTEGER,
  PRIMARY KEY (session, agent_id)
) WITHOUT ROWID;

-- How far each transcript was read. A file of another fingerprint was written anew and is read again.
CREATE TABLE transcripts (
  path TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  client TEXT NOT NULL,
  agent_id TEXT,
  offset INTEGER NOT NULL,
  size INTEGER NOT NULL,
  modified_at INTEGER,
  fingerprint INTEGER NOT NULL,
  answered INTEGER NOT NULL,
  skipped_lines INTEGER NOT NULL,
  unknown_lines INTEGER NOT NULL DEFAULT 0,
  reader_state TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX transcripts_by_session ON transcripts (session);

-- What a transcript adds to the contexts of its conversations, in the order of its lines (JSON, domain/context.rs): sizes, names
-- and ids. A part is what was read at once, from and to an offset in bytes. Parts stay where they are while a transcript grows.
CREATE TABLE context_parts (
  path TEXT,
  start_offset INTEGER,
  end_offset INTEGER,
  entries TEXT,
  PRIMARY KEY (path, start_offset)
) WITHOUT ROWID;

-- Records that more than one session has, a row for each session. Whose it is follows from what else these sessions have
-- (store/owners.rs).
CREATE TABLE shared_records (
  key TEXT,
  session INT,
  kind INT,
  source INT,
  copied INT,
  file_started_at INT,
  at INT,
  PRIMARY KEY (key, session)
) WITHOUT ROWID;
CREATE INDEX shared_records_by_session ON shared_records (session);

-- The client's own totals of a session, cumulative. The last one counts; the earlier ones tell what a fork began with.
CREATE TABLE client_totals (
  session INTEGER NOT NULL,
  at INTEGER NOT NULL,
  model TEXT NOT NULL,
  started_at INTEGER,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  cache_writes_split INTEGER NOT NULL,
  cost_usd TEXT,
  PRIMARY KEY (session, at, model)
) WITHOUT ROWID;
-- Whose totals go on from each other: they have one start.
CREATE INDEX client_totals_by_start ON client_totals (started_at) WHERE started_at NOT NULL;

-- A cache, which most reports read: responses added up by quarter of an hour (UTC; all time zones begin their days at one), with
-- their cost.
CREATE TABLE usage_buckets (
  quarter_hour INTEGER NOT NULL,
  session INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  model TEXT NOT NULL,
  branch TEXT NOT NULL,
  priced INTEGER NOT NULL,
  responses INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  input_pico INTEGER NOT NULL,
  output_pico INTEGER NOT NULL,
  cache_read_pico INTEGER NOT NULL,
  cache_write_pico INTEGER NOT NULL,
  web_search_pico INTEGER NOT NULL,
  savings_pico INTEGER NOT NULL,
  shortfall_responses INTEGER NOT NULL,
  shortfall_tokens INTEGER NOT NULL,
  shortfall_pico INTEGER NOT NULL,
  PRIMARY KEY (quarter_hour, session, agent_id, model, branch, priced)
) WITHOUT ROWID;
CREATE INDEX usage_buckets_by_session ON usage_buckets (session);

-- Its rows once more, added up by hour, by day and by session: a report over a year reads a quarter as many. One table for all
-- three, for each hook's process reads the schema. `grain` is how many quarters a row has: 4 an hour, at which nearly all time
-- zones begin their days; 96 a day; 0 all time.
CREATE TABLE usage_rollups (
  grain INTEGER NOT NULL,
  quarter_hour INTEGER NOT NULL,
  session INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  model TEXT NOT NULL,
  branch TEXT NOT NULL,
  priced INTEGER NOT NULL,
  responses INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  input_pico INTEGER NOT NULL,
  output_pico INTEGER NOT NULL,
  cache_read_pico INTEGER NOT NULL,
  cache_write_pico INTEGER NOT NULL,
  web_search_pico INTEGER NOT NULL,
  PRIMARY KEY (grain, quarter_hour, session, agent_id, model, branch, priced)
) WITHOUT ROWID;

-- A cache: how a session's usage is divided among what stood in its contexts (store/allocations.rs), and what these have grown
-- by (store/growth.rs): an export would read all of them again for it.
CREATE TABLE allocations (
  session INTEGER PRIMARY KEY,
  revision INTEGER,
  version INTEGER,
  body TEXT,
  growth BLOB
);

-- Changes of the agent's own list of tasks, by the call that made them (JSON).
CREATE TABLE task_changes (
  session INTEGER,
  tool_use_id TEXT,
  at INTEGER,
  change TEXT,
  PRIMARY KEY (session, tool_use_id)
) WITHOUT ROWID;

-- Steps that were named by hand.
CREATE TABLE named_steps (
  session INTEGER,
  started_at INTEGER,
  ended_at INTEGER,
  name TEXT,
  PRIMARY KEY (session, started_at, name)
) WITHOUT ROWID;

-- What people pasted of the client's own cost screen: the total, how far it is rounded, and all its figures (JSON). The same
-- reading twice is one row; nothing of the paste's text is kept but names.
CREATE TABLE captured_costs (
  session INTEGER,
  fingerprint INTEGER,
  at INTEGER,
  cost_pico INTEGER,
  rounding_pico INTEGER,
  figures TEXT,
  PRIMARY KEY (session, fingerprint)
) WITHOUT ROWID;

-- What the client itself last told the status line that a session has cost.
CREATE TABLE status_line_costs (
  session INTEGER PRIMARY KEY,
  at INTEGER,
  cost_pico INTEGER
);

-- A scope that is NULL holds for everything.
CREATE TABLE budgets (
  id INTEGER PRIMARY KEY,
  unit INT,
  amount INT,
  per TEXT,
  project TEXT,
  agent TEXT,
  model TEXT,
  warn_percent INT,
  stops INT,
  override_until INT
);

-- What was used of each budget, kept up with every write of `usage_buckets`, so that the hook adds nothing up. A row without
-- `until_quarter_hour` is void and is made anew.
CREATE TABLE budget_totals (
  budget INT,
  session INT,
  from_quarter_hour INT,
  until_quarter_hour INT,
  cost_pico INT,
  tokens INT,
  estimated_cost_pico INT,
  estimated_tokens INT,
  notified INT,
  stopped_at INT,
  PRIMARY KEY (budget, session)
) WITHOUT ROWID;

-- What the last results of each context are estimated to add to its next request, until that is known.
CREATE TABLE pending_input (
  session INT,
  agent_id TEXT,
  at INT,
  model TEXT,
  tokens INT,
  cost_pico INT,
  PRIMARY KEY (session, agent_id)
) WITHOUT ROWID;

-- What agents without hooks have reported.
CREATE TABLE usage_reports (
  id INTEGER PRIMARY KEY,
  event_id TEXT UNIQUE,
  at INT,
  session INT,
  project TEXT,
  agent TEXT,
  task TEXT,
  model TEXT,
  input_tokens INT,
  output_tokens INT,
  total_tokens INT,
  cost_pico INT,
  is_estimate INT,
  changed INTEGER NOT NULL DEFAULT 0
);

-- Sessions that were removed, for copies of the ledger elsewhere.
CREATE TABLE removed_sessions (session_id TEXT PRIMARY KEY, changed INTEGER NOT NULL) WITHOUT ROWID;

-- Names of the spool's files that are stored (store/spool.rs).
CREATE TABLE applied_spool_files (
  name TEXT PRIMARY KEY
) WITHOUT ROWID;
