-- What people pasted of the client's own cost screen: the total, how far it is rounded (pico-dollars), and all its figures
-- (JSON). The same reading twice is one row; nothing of the paste's text is kept but names.
CREATE TABLE captured_costs (session INTEGER, fingerprint INTEGER, at INTEGER, pico INTEGER, step INTEGER, body TEXT, PRIMARY KEY (session, fingerprint)) WITHOUT ROWID;

-- What the client itself last told the status line that a session has cost: a further witness.
CREATE TABLE client_costs (session INTEGER PRIMARY KEY, at INTEGER, cost_pico INTEGER);
