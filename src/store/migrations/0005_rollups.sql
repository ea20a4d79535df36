-- The rows of `spent` once more, added up: a report over a year reads a quarter as many. They are written with `spent` and
-- have its columns, without what only one session is asked for. `quarter` is the first of the hour, or of the day (UTC):
-- what has no time is in `spent` alone.

-- By hour, at which nearly all time zones begin their days: '' stands for subagents, too.
CREATE TABLE spent_hours (
  quarter INTEGER NOT NULL,
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
  PRIMARY KEY (quarter, session, agent_id, model, branch, priced)
) WITHOUT ROWID;
INSERT INTO spent_hours
  SELECT quarter - quarter % 4, session, iif(agent_id = '(hidden)', agent_id, ''), model, branch, priced,
    sum(responses), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),
    sum(cache_write_1h_tokens), sum(web_searches), sum(input_pico), sum(output_pico), sum(cache_read_pico),
    sum(cache_write_pico), sum(web_search_pico)
  FROM spent WHERE quarter >= 0 GROUP BY 1, 2, 3, 4, 5, 6;

-- By day, with the runs.
CREATE TABLE spent_days (
  quarter INTEGER NOT NULL,
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
  PRIMARY KEY (quarter, session, agent_id, model, branch, priced)
) WITHOUT ROWID;
INSERT INTO spent_days
  SELECT quarter - quarter % 96, session, agent_id, model, branch, priced,
    sum(responses), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),
    sum(cache_write_1h_tokens), sum(web_searches), sum(input_pico), sum(output_pico), sum(cache_read_pico),
    sum(cache_write_pico), sum(web_search_pico)
  FROM spent WHERE quarter >= 0 GROUP BY 1, 2, 3, 4, 5, 6;
