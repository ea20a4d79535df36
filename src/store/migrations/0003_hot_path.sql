-- Written on the client's hot path. With the time in it every event moved an entry, which is one page more for each.
DROP INDEX sessions_by_project;
CREATE INDEX sessions_by_project ON sessions (project);

-- Names of the spool's files that were applied; see store/spool.rs.
CREATE TABLE spooled (name TEXT PRIMARY KEY) WITHOUT ROWID;
