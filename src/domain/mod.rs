//! Values and their arithmetic. No I/O, no SQL, no clap.

mod alert;
pub mod amount;
mod budget;
mod captured;
mod client;
mod context;
mod counted;
mod estimate;
mod ids;
mod interner;
mod log;
mod modifiers;
mod money;
mod response;
mod session;
mod steps;
mod time;
mod tool;
mod tool_call;
mod usage;

pub use alert::{AlertKind, AlertState, Alerts, Baseline, CallLoop, EndedRun, Spike};
pub use budget::{Budget, BudgetSpan, BudgetState, Limit, Mode, Per, Scope, Standing, UsedAmount};
pub use captured::{CapturedCost, CapturedLimit, CapturedModel, Shown, ShownCost, ShownUsage, UnreadLine};
pub use client::{Client, MAIN_AGENT};
pub use context::{ContextCall, ContextEntry, TaskChange, TaskChangeKind, file_type};
pub use counted::{grouped, plural};
pub use estimate::{Estimate, Method};
pub use ids::{
    AgentId, MAX_NAME_CHARS, MessageId, ModelId, OneLine, SessionId, ToolUseId, clean_name, is_plain_word,
    is_unsafe, printable, project_folder, shell_word, single_quoted, variable_length,
};
pub use interner::Interner;
pub use log::{
    ClientTotal, CompactionRecord, CopiedBefore, LogDelta, LogPosition, LoggedRun, NUMBERED_TOPIC_RANK,
    PromptRecord, SessionFacts,
};
pub use modifiers::Modifiers;
pub use money::{Cost, CostParts, PicoUsd};
pub use response::{Iteration, Iterations, LineTag, RecordSource, RequestTag, ResponseRecord};
pub use session::{CompactionTrigger, SessionKind, SessionState, Version, client_version};
pub use steps::{NamedStep, StepSpan, TaskList, Timeline, is_turn_name, task_list};
pub use time::Timestamp;
pub use tool::{Tool, ToolKind};
pub use tool_call::{ActionType, LineDelta, RawCounts, ToolCall, ToolName, ToolOutcome};
pub use usage::{MAX_COUNT, Usage};
