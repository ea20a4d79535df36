//! What runs of subagents came to.

use std::ops::Deref;

use rusqlite::params;

use super::AgentRuns;
use super::writer::unsigned;
use super::{Ledger, StoreError};
use crate::domain::{AgentId, SessionId};

/// Runs that are looked at: a habit is told by the latest ones, and a ledger can hold many. They are read in the order of the
/// key, backwards, which sorts nothing.
const LATEST_RUNS: u32 = 150;
/// Runs of one type that are looked at, the latest ones: a subagent's start waits for it.
pub const RUNS_OF_A_TYPE: u32 = 20;

/// More subagents than work at once; the end of a batch of tools looks at each.
const MOST_AT_WORK: u32 = 16;

/// A subagent run of which something is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRun {
    /// Its type.
    pub agent_type: String,
    /// All tokens of its responses.
    pub billed: u64,
    /// The size of its context at its last response, that included, in tokens.
    pub final_context: Option<u64>,
    /// What it returned to the agent that started it, in tokens: an estimate.
    pub returned: Option<u64>,
}

impl<L: Deref<Target = Ledger>> AgentRuns<L> {
    /// The session's subagents that have started and are not known to have ended, or have gone on since, the last ones to be
    /// heard of; one that was stopped or interrupted is among them, for nobody tells of its end.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn agents_at_work(&self, session: &SessionId) -> Result<Vec<AgentId>, StoreError> {
        const SQL: &str = "SELECT agent_id FROM agent_runs
            WHERE session = (SELECT id FROM sessions WHERE session_id = ?1)
              AND started_at IS NOT NULL AND (ended_at IS NULL OR log_last_at > ended_at)
            ORDER BY coalesce(log_last_at, started_at) DESC LIMIT ?2";
        let params = params![session.as_str(), MOST_AT_WORK];
        let ids = self.0.all("read the subagents' runs", SQL, params, |row| row.get::<_, String>(0))?;
        Ok(ids.iter().filter_map(|id| AgentId::new(id)).collect())
    }

    /// How many runs of each type are known.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn runs_by_type(&self) -> Result<Vec<(Option<String>, u64)>, StoreError> {
        const SQL: &str = "SELECT agent_type, count(*) FROM agent_runs GROUP BY agent_type";
        self.0.all("count the subagents' runs", SQL, [], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))
    }

    /// Those of the latest runs that have a type and have answered, the newest session's first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn observed_runs(&self) -> Result<Vec<ObservedRun>, StoreError> {
        // From the end of a run's transcript backwards its last response is the first one; from that of the session it
        // is one of hundreds.
        const SQL: &str = "WITH
          latest AS MATERIALIZED (SELECT * FROM agent_runs ORDER BY session DESC, agent_id DESC LIMIT ?1),
          runs AS MATERIALIZED (SELECT *,
            (SELECT sum(input_tokens + output_tokens + cache_read_tokens + cache_write_5m_tokens
               + cache_write_1h_tokens) FROM usage_buckets WHERE session = r.session AND agent_id = r.agent_id) AS billed
            FROM latest r WHERE agent_type IS NOT NULL)
          SELECT r.agent_type, billed,
            (SELECT input_tokens + output_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
               FROM responses WHERE session = r.session AND agent_id = r.agent_id
                 AND at <= coalesce(r.log_last_at, 9223372036854775807) ORDER BY at DESC LIMIT 1),
            (SELECT returned_tokens FROM tool_calls WHERE session = r.session AND tool_use_id = r.tool_use_id
               AND ok AND returned_method IN ('exact_text', 'payload_text', 'subagent_report'))
          FROM runs r WHERE billed > 0";
        self.0.all("read the subagents' runs", SQL, [LATEST_RUNS], |row| {
            Ok(ObservedRun {
                agent_type: row.get(0)?,
                billed: unsigned(row.get(1)?),
                final_context: row.get::<_, Option<i64>>(2)?.map(unsigned),
                returned: row.get::<_, Option<i64>>(3)?.map(unsigned),
            })
        })
    }

    /// What the latest runs of a type were billed, in tokens, in no order.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn billed_runs(&self, agent_type: &str) -> Result<Vec<u64>, StoreError> {
        const SQL: &str = "WITH
          latest AS MATERIALIZED (SELECT * FROM agent_runs ORDER BY session DESC, agent_id DESC LIMIT ?2),
          runs AS MATERIALIZED (SELECT (SELECT sum(input_tokens + output_tokens + cache_read_tokens
               + cache_write_5m_tokens + cache_write_1h_tokens) FROM usage_buckets
               WHERE session = r.session AND agent_id = r.agent_id) AS billed
            FROM (SELECT * FROM latest WHERE agent_type = ?1 LIMIT ?3) r)
          SELECT billed FROM runs WHERE billed > 0";
        self.0.all("read the subagents' runs", SQL, params![agent_type, LATEST_RUNS, RUNS_OF_A_TYPE], |row| {
            Ok(unsigned(row.get(0)?))
        })
    }
}
