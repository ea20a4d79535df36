-- The rows of `spent` once more, added up by hour and by day (UTC): a report over a year reads a quarter as many. They are
-- written with `spent` and have its columns, without what only one session is asked for. What has no time is in `spent`
-- alone. One table for both, for each hook's process reads the schema.
CREATE TABLE spent_sums (
  -- Quarters of an hour in a row. 4: an hour, at which nearly all time zones begin their days; `agent_id` '' stands for
  -- subagents, too. 96: a day, with the runs.
  grain INTEGER NOT NULL,
  -- The first quarter.
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
  PRIMARY KEY (grain, quarter, session, agent_id, model, branch, priced)
) WITHOUT ROWID;
INSERT INTO spent_sums
  SELECT grain.value, quarter - quarter % grain.value, session,
    iif(grain.value = 96 OR agent_id = '(hidden)', agent_id, ''), model, branch, priced,
    sum(responses), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),
    sum(cache_write_1h_tokens), sum(web_searches), sum(input_pico), sum(output_pico), sum(cache_read_pico),
    sum(cache_write_pico), sum(web_search_pico)
  FROM (SELECT 4 AS value UNION ALL SELECT 96) AS grain, spent WHERE quarter >= 0 GROUP BY 1, 2, 3, 4, 5, 6, 7;
