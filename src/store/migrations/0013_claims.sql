-- Which record of its kind a response is: hashes of the ids of its request (negative where the log names none) and of its
-- line, for an id alone does not tell whose record it is.
ALTER TABLE responses ADD COLUMN request INTEGER;
ALTER TABLE responses ADD COLUMN line INTEGER;
-- By what the responses are found that share their id with others: those of a gateway that has one for all can be very many.
-- Few ledgers have any.
CREATE INDEX variants_by_request ON responses (request) WHERE instr(message_id, '#');
CREATE INDEX variants_by_line ON responses (line) WHERE instr(message_id, '#');
CREATE INDEX variants_by_time ON responses (at) WHERE instr(message_id, '#');
CREATE INDEX variants_by_prompt ON responses (session, input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens) WHERE instr(message_id, '#');

-- What more than one session has: the keys of responses (`kind` 0), prompts (1) and compactions (2) that a fork repeats, a
-- row for each session. Whose they are follows from what else these sessions have (store/owners.rs).
CREATE TABLE claims (key TEXT, session INT, kind INT, source INT, copied INT, file_start INT, at INT, PRIMARY KEY (key, session)) WITHOUT ROWID;
CREATE INDEX claims_by_session ON claims (session);

-- Whose totals go on from each other: they have one start.
CREATE INDEX cost_states_by_start ON cost_states (started_at) WHERE started_at NOT NULL;

-- When a session that shares records has its first one of its own; what comes later changes nothing about whose those are.
ALTER TABLE sessions ADD COLUMN own_at INTEGER;
-- When a fork was made, as far as that is known: what its file has from before is its parent's.
ALTER TABLE sessions ADD COLUMN forked_at INTEGER;

-- A file's last response, which its next lines may go on with.
ALTER TABLE transcripts ADD COLUMN last_response TEXT;
