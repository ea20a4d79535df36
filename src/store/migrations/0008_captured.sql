-- What people pasted of the client's own cost screen. The same reading twice is one row. Sums are pico-dollars, with
-- how far they are rounded beside them; nothing of the paste's text is kept but names.
CREATE TABLE captured_costs (
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  captured_at INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,
  total_pico INTEGER,
  total_step_pico INTEGER,
  inaccurate INTEGER NOT NULL,
  api_ms INTEGER,
  wall_ms INTEGER,
  lines_added INTEGER,
  lines_removed INTEGER,
  subscription TEXT,
  UNIQUE (session, fingerprint)
);

-- Its rows by model; '' is what the screen says of all models together.
CREATE TABLE captured_models (
  capture INTEGER NOT NULL,
  position INTEGER NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  input_step INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  output_step INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_read_step INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  cache_write_step INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  cost_pico INTEGER,
  cost_step_pico INTEGER,
  PRIMARY KEY (capture, position)
) WITHOUT ROWID;

-- The limits of a subscription, as they were then.
CREATE TABLE captured_limits (
  capture INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  used_percent INTEGER NOT NULL,
  resets TEXT,
  PRIMARY KEY (capture, position)
) WITHOUT ROWID;

-- What the client itself last told the status line that a session has cost: a further witness.
CREATE TABLE client_costs (
  session INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  cost_pico INTEGER NOT NULL
);
