-- Where a response was made, and what changes its price: 1 fast mode, 2 inference in the US, 4 batch.
ALTER TABLE responses ADD COLUMN branch TEXT;
ALTER TABLE responses ADD COLUMN mode INTEGER NOT NULL DEFAULT 0;
-- tiktoken's count of what a response wrote, where its log has no final usage (complete = 0); else 0.
ALTER TABLE responses ADD COLUMN content_tokens INTEGER NOT NULL DEFAULT 0;
-- The session whose messages a fork has copied.
ALTER TABLE sessions ADD COLUMN parent INTEGER;
CREATE INDEX sessions_by_parent ON sessions (parent) WHERE parent IS NOT NULL;
-- The time of the latest dated record that was read.
ALTER TABLE transcripts ADD COLUMN last_at INTEGER;

-- The client's own totals of a session (`cost-state`), cumulative; `at` is the time of the last dated line before, and
-- `cost_usd` what the client says, as written. Its last record counts; the earlier ones tell what a fork began with.
CREATE TABLE cost_states (
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
  -- 1 if the record splits its cache writes.
  split INTEGER NOT NULL,
  cost_usd TEXT,
  PRIMARY KEY (session, at, model)
) WITHOUT ROWID;

-- What reports read: responses added up by quarter of an hour (UTC; all time zones begin their days at one), with their
-- cost in pico-dollars. A cache: it is made anew when the price table changes (`meta`, 'price_version').
CREATE TABLE spent (
  -- Milliseconds ÷ 900,000; -1 if no time is known.
  quarter INTEGER NOT NULL,
  session INTEGER NOT NULL,
  -- '' for the main conversation, '(hidden)' for what no line shows.
  agent_id TEXT NOT NULL,
  -- '' if unknown, as the branch.
  model TEXT NOT NULL,
  branch TEXT NOT NULL,
  -- 0 if there was no price for the model.
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
  -- Cache reads at the input's price, less what they cost.
  savings_pico INTEGER NOT NULL,
  -- What incomplete logs leave out: an estimate, in no total.
  shortfall_responses INTEGER NOT NULL,
  shortfall_tokens INTEGER NOT NULL,
  shortfall_pico INTEGER NOT NULL,
  PRIMARY KEY (quarter, session, agent_id, model, branch, priced)
) WITHOUT ROWID;
CREATE INDEX spent_by_session ON spent (session);
