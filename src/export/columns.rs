//! The schema of each kind: what a record is made of once it is laid flat, as a row of a table.

use super::RecordKind;
use ColumnType::{Boolean, Integer, Json, Money, Real, Text, Time};

/// What a column holds. A value that is not known is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A text.
    Text,
    /// A whole number from 0 up to 2^53.
    Integer,
    /// A number.
    Real,
    /// Yes or no.
    Boolean,
    /// US dollars, with up to twelve decimals, all of which count.
    Money,
    /// A moment in UTC by RFC 3339.
    Time,
    /// A list, as JSON.
    Json,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordColumn {
    /// Its name: the member's, those of inner objects behind the object's (`usage_input_tokens`).
    pub name: &'static str,
    /// What it holds.
    pub holds: ColumnType,
}

macro_rules! columns {
    ($($name:literal $holds:ident),+ $(,)?) => {
        &[$(RecordColumn { name: $name, holds: $holds }),+]
    };
}

impl RecordKind {
    /// The columns of its records, in the order of their members.
    #[must_use]
    pub const fn columns(self) -> &'static [RecordColumn] {
        match self {
            Self::Sessions => SESSIONS,
            Self::Calls => CALLS,
            Self::Responses => RESPONSES,
            Self::Days => DAYS,
            Self::Steps => STEPS,
            Self::Compactions => COMPACTIONS,
            Self::Reports => REPORTS,
        }
    }
}

const SESSIONS: &[RecordColumn] = columns![
    "id" Text,
    "client" Text,
    "client_version" Text,
    "kind" Text,
    "project" Text,
    "git_branch" Text,
    "topic" Text,
    "model" Text,
    "state" Text,
    "started_at" Time,
    "last_activity_at" Time,
    "ended_at" Time,
    "duration_seconds" Integer,
    "turns" Integer,
    "tool_calls" Integer,
    "compactions" Integer,
    "usage_input_tokens" Integer,
    "usage_output_tokens" Integer,
    "usage_cache_read_tokens" Integer,
    "usage_cache_write_5m_tokens" Integer,
    "usage_cache_write_1h_tokens" Integer,
    "usage_web_searches" Integer,
    "total_tokens" Integer,
    "responses" Integer,
    "cache_hit_rate" Real,
    "cost_input_usd" Money,
    "cost_output_usd" Money,
    "cost_cache_read_usd" Money,
    "cost_cache_write_usd" Money,
    "cost_web_search_usd" Money,
    "cost_usd" Money,
    "cache_savings_usd" Money,
    "unpriced_models" Json,
    "hidden_usage_input_tokens" Integer,
    "hidden_usage_output_tokens" Integer,
    "hidden_usage_cache_read_tokens" Integer,
    "hidden_usage_cache_write_5m_tokens" Integer,
    "hidden_usage_cache_write_1h_tokens" Integer,
    "hidden_usage_web_searches" Integer,
    "hidden_cost_usd" Money,
    "output_shortfall_tokens" Integer,
    "output_shortfall_cost_usd" Money,
    "output_shortfall_responses" Integer,
    "estimate_calls" Integer,
    "estimate_generated_tokens" Integer,
    "estimate_returned_tokens" Integer,
    "estimate_total_tokens" Integer,
    "estimate_raw_tokens" Integer,
    "estimate_error_percent" Real,
    "estimate_pending_calls" Integer,
    "estimate_pending_generated_tokens" Integer,
    "estimate_pending_returned_tokens" Integer,
    "estimate_pending_total_tokens" Integer,
    "estimate_pending_raw_tokens" Integer,
    "estimate_pending_client_tokens" Integer,
    "estimate_pending_subagent_tokens" Integer,
    "efficiency_tokens_per_minute" Real,
    "efficiency_cost_per_minute_usd" Money,
    "efficiency_lines_added" Integer,
    "efficiency_lines_removed" Integer,
    "efficiency_cost_per_line_usd" Money,
    "by_agent" Json,
    "by_model" Json,
    "by_step" Json,
];

const CALLS: &[RecordColumn] = columns![
    "tool_use_id" Text,
    "session_id" Text,
    "agent" Text,
    "agent_id" Text,
    "tool" Text,
    "at" Time,
    "duration_ms" Integer,
    "ok" Boolean,
    "generated_tokens" Integer,
    "returned_tokens" Integer,
    "raw_generated_tokens" Integer,
    "raw_returned_tokens" Integer,
    "method" Text,
    "generated_method" Text,
    "input_hash" Text,
    "action_type" Text,
    "action_name" Text,
    "model" Text,
    "skill" Text,
    "mcp_server" Text,
    "step" Text,
];

const RESPONSES: &[RecordColumn] = columns![
    "message_id" Text,
    "session_id" Text,
    "agent" Text,
    "agent_id" Text,
    "at" Time,
    "model" Text,
    "git_branch" Text,
    "skill" Text,
    "input_tokens" Integer,
    "output_tokens" Integer,
    "cache_read_tokens" Integer,
    "cache_write_5m_tokens" Integer,
    "cache_write_1h_tokens" Integer,
    "web_searches" Integer,
    "total_tokens" Integer,
    "cost_usd" Money,
    "complete" Boolean,
    "fast" Boolean,
    "us_inference" Boolean,
    "batch" Boolean,
];

const DAYS: &[RecordColumn] = columns![
    "date" Text,
    "input_tokens" Integer,
    "output_tokens" Integer,
    "cache_read_tokens" Integer,
    "cache_write_5m_tokens" Integer,
    "cache_write_1h_tokens" Integer,
    "web_searches" Integer,
    "total_tokens" Integer,
    "cost_usd" Money,
    "unpriced_models" Json,
    "sessions" Integer,
    "responses" Integer,
];

const STEPS: &[RecordColumn] = columns![
    "session_id" Text,
    "step" Text,
    "usage_input_tokens" Integer,
    "usage_output_tokens" Integer,
    "usage_cache_read_tokens" Integer,
    "usage_cache_write_5m_tokens" Integer,
    "usage_cache_write_1h_tokens" Integer,
    "usage_web_searches" Integer,
    "total_tokens" Integer,
    "entry_cost_usd" Money,
    "carry_cost_usd" Money,
    "cost_usd" Money,
    "percent" Real,
    "cost_percent" Real,
    "tokens_percent" Real,
    "duration_seconds" Integer,
    "agents" Json,
    "iterations" Integer,
];

const COMPACTIONS: &[RecordColumn] = columns![
    "session_id" Text,
    "at" Time,
    "trigger" Text,
    "tokens_before" Integer,
    "tokens_after" Integer,
];

const REPORTS: &[RecordColumn] = columns![
    "event_id" Text,
    "at" Time,
    "session_id" Text,
    "project" Text,
    "agent" Text,
    "task" Text,
    "model" Text,
    "input_tokens" Integer,
    "output_tokens" Integer,
    "total_tokens" Integer,
    "cost_usd" Money,
    "is_estimate" Boolean,
];
