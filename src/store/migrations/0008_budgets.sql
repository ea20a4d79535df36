-- Budgets. Few and narrow tables: every hook's process reads the schema.

-- `unit` 0 is pico-dollars, 1 tokens; `per` as the command line names it; NULL scopes hold for everything.
CREATE TABLE budgets (id INTEGER PRIMARY KEY, unit INT, amount INT, per TEXT, project TEXT, agent TEXT, model TEXT, warn INT, stop INT, free_until INT);

-- What was used of each, kept up with every write of `spent`, so that the hook adds nothing up. From and until are quarters
-- of an hour as in `spent`, `est_` is what was reported as estimates; `session` is 0 but for budgets of sessions. A row without `until` is void and is made anew from
-- `spent`. `said` is 1 once the user was warned, 2 once he was told that it is used up; `stopped_at` when a session was
-- stopped last.
CREATE TABLE kept (budget INT, session INT, start INT, until INT, pico INT, tokens INT, est_pico INT, est_tokens INT, said INT, stopped_at INT, PRIMARY KEY (budget, session)) WITHOUT ROWID;

-- What the last results of each context are estimated to add to its next request, until that is known.
CREATE TABLE pending (session INT, agent TEXT, at INT, model TEXT, tokens INT, pico INT, PRIMARY KEY (session, agent)) WITHOUT ROWID;

-- What agents without hooks have reported.
CREATE TABLE reports (id INTEGER PRIMARY KEY, event_id TEXT UNIQUE, at INT, session INT, project TEXT, agent TEXT, task TEXT, model TEXT, input INT, output INT, tokens INT, pico INT, estimate INT);
