//! A log of the Kimi CLI.

use std::path::Path;

use crate::clients::line_log::{self, Answer, LineKind, LineLog};
use crate::clients::{Buffer, ReadError, ReadFrom};
use crate::domain::{AgentId, CompactionRecord, CompactionTrigger, LogDelta, PromptRecord, Timestamp, Usage};
use crate::json::Object;

pub(super) fn read(buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
    line_log::read(buffer, path, from, |log: &mut LineLog<()>, line| {
        line_log::with_object(line, |line| add(log, line, from)).unwrap_or(LineKind::Foreign)
    })
}

fn add(log: &mut LineLog<()>, line: &Object<'_>, from: &ReadFrom) -> LineKind {
    let Some(message) = line.object("message") else {
        let is_head = line.text("type").as_deref() == Some("metadata");
        return if is_head { LineKind::Known } else { LineKind::Foreign };
    };
    let time = line.raw("timestamp").and_then(|time| time.get().parse::<f64>().ok());
    let (Some(kind), Some(time)) = (message.text("type"), time) else { return LineKind::Foreign };
    // Seconds, with a fraction.
    #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds; a larger one saturates")]
    let at = Some(Timestamp::from_millis((time * 1_000.0) as i64));
    log.note_time(at);
    let session = log.delta.session.get_or_insert_with(|| from.session.clone()).clone();
    let payload = message.object("payload");
    let is_main = from.agent.is_none();
    match kind.as_ref() {
        "StatusUpdate" => {
            let Some(usage) = payload.as_ref().and_then(|payload| payload.object("token_usage")) else {
                return LineKind::Other;
            };
            let answer = payload.as_ref().and_then(|payload| payload.text("message_id"));
            return add_answer(log, &usage, answer.as_deref(), from, at);
        }
        "TurnBegin" if is_main => {
            log.is_answered = false;
            let uuid = format!("{session}/{time}");
            log.add_prompt(PromptRecord { uuid, session, prompt_id: None, at });
        }
        "CompactionEnd" if is_main => log.add_compaction(CompactionRecord {
            uuid: format!("{session}/compaction/{time}"),
            session,
            trigger: CompactionTrigger::Unknown,
            at,
            tokens_before: None,
            tokens_after: None,
        }),
        _ => {}
    }
    LineKind::Known
}

fn add_answer(
    log: &mut LineLog<()>,
    usage: &Object<'_>,
    answer: Option<&str>,
    from: &ReadFrom,
    at: Option<Timestamp>,
) -> LineKind {
    if usage.count("input_other").and(usage.count("output")).is_none() {
        return LineKind::Unknown;
    }
    let count = |name: &str| usage.count(name).unwrap_or_default();
    let agent = from.agent.as_ref().map_or(super::MAIN, AgentId::as_str);
    let session = log.delta.session.clone().unwrap_or_else(|| from.session.clone());
    let millis = at.map_or(0, Timestamp::as_millis);
    let id = format!("{session}/{agent}/{}/{millis}", answer.unwrap_or_default());
    log.add_answer(Answer {
        id: &id,
        session: &session,
        agent: from.agent.clone(),
        model: None,
        at,
        usage: Usage {
            input: count("input_other"),
            output: count("output"),
            cache_read: count("input_cache_read"),
            cache_write_5m: count("input_cache_creation"),
            ..Usage::default()
        },
        branch: None,
        is_copy: false,
    })
}
