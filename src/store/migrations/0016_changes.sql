-- What has changed since somebody last looked, for copies of the ledger elsewhere (store/changes.rs). A writer only turns the
-- sign of a number, in a row that it writes anyway; whoever asks for changes gives out the numbers.
ALTER TABLE sessions ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reports ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE removed_sessions (session_id TEXT PRIMARY KEY, changed INTEGER NOT NULL) WITHOUT ROWID;
-- Which ledger this is, so that a place in its changes is not taken for one in those of another.
INSERT OR IGNORE INTO meta VALUES ('ledger_id', randomblob(16));
