-- From here on `spent_sums` holds the rows of `spent` a third time, added up by session, for lists of sessions: `grain` 0 and
-- `quarter` 0 stand for all time, `agent_id` '' for subagents, too. Branches are not told apart. As with hours and days, what
-- has no time is in `spent` alone. The stamp is void, so that the next command prices all anew and fills them.
UPDATE meta SET value = 0 WHERE name = 'price_version';

-- What one session's views read. Its entries stay where they are while a transcript grows.
CREATE INDEX transcripts_by_session ON transcripts (session);

-- A session's shares stand there a second time from now on, added up: they are worked out anew.
DELETE FROM shares;
