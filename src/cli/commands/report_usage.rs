//! `tallyhook report-usage`: an agent without hooks tells what it has used.

use super::Context;
use super::args::{Operation, ReportUsageArgs};
use crate::config::Config;
use crate::domain::{MAX_NAME_CHARS, Usage, clean_name, plural, project_folder};
use crate::error::Error;
use crate::estimate::subagents::defaults_for;
use crate::store::{Ledger, Report};

/// What the ids of agents are taken from if none is given.
const AGENT_VARS: [&str; 2] = ["TALLYHOOK_AGENT_ID", "ALT_AGENT_ID"];
/// Tokens of a call of which nothing else is known.
const CALL_TOKENS: u64 = 50;

/// What an agent without hooks is to be told, so that it reports what it uses.
pub(super) const INSTRUCTION: &str = "\
After each task, and at least every ten minutes, report the tokens you have used since your last report:

    tallyhook report-usage --agent-id YOUR-ID --model YOUR-MODEL --input N --output N --event-id UNIQUE-ID

Use your own name as YOUR-ID and a new UNIQUE-ID for each report; if you repeat a report, reuse its ID. If you don't
know your token counts, report each operation instead:

    tallyhook report-usage --agent-id YOUR-ID --operation read|write|edit|tool|subagent --chars N

Before a long task, run `tallyhook budget status --check`; if it exits with 3, a budget is used up: stop and say so.
";

pub(super) fn run(context: &Context, args: &ReportUsageArgs) -> Result<(), Error> {
    let usage = |what: &str| Error::Usage { what: what.to_owned() };
    let name = |text: &str| clean_name(text, MAX_NAME_CHARS);
    let agent = args.agent_id.clone().or_else(|| AGENT_VARS.iter().find_map(|var| context.env.var(var)));
    let agent = agent
        .and_then(|agent| name(&agent))
        .ok_or_else(|| usage("no agent ID given: add --agent-id ID, or set TALLYHOOK_AGENT_ID"))?;
    let project =
        context.env.path_var("CLAUDE_PROJECT_DIR").unwrap_or_else(|| context.env.cwd().to_path_buf());
    let project = project_folder(project.to_string_lossy().into_owned());
    let (used, tokens) = match args.operation {
        Some(operation) => {
            let used = estimate(&context.config(Some(&project))?, operation, args);
            (used, used.total())
        }
        None => {
            let used = Usage {
                input: args.input.unwrap_or(0),
                output: args.output.unwrap_or(0),
                ..Usage::default()
            };
            let tokens = args.tokens.unwrap_or(used.total());
            // What is not told apart is priced as input.
            (Usage { input: tokens.saturating_sub(used.output), ..used }, tokens)
        }
    };
    if tokens == 0 && args.cost.is_none() {
        return Err(usage(
            "no usage given: add --tokens, --input and --output, --cost, or --operation with --chars",
        ));
    }
    let now = context.env.now();
    let model = args.model.as_deref().and_then(name);
    let prices = context.prices()?;
    let priced =
        model.as_deref().and_then(|model| prices.cost(model, now, &used, Default::default()).total());
    let mut ledger = Ledger::open_or_create(&context.ledger_path()?)?;
    let session = match context.env.var("CLAUDE_CODE_SESSION_ID") {
        Some(id) => ledger.sessions().find(&id)?.map(|record| record.row),
        None => None,
    };
    let report = Report {
        event_id: args.event_id.as_deref().and_then(name),
        at: Some(now),
        session,
        project: Some(project),
        agent: Some(agent),
        task: args.task_id.as_deref().and_then(name),
        model,
        input: args.input,
        output: args.output,
        tokens,
        cost: args.cost.or(priced),
        is_estimate: args.operation.is_some(),
    };
    let is_new = ledger.records_mut().add_report(&report)?;
    let cost = report.cost.map(|cost| format!(", {cost}")).unwrap_or_default();
    let mark = if report.is_estimate { "~" } else { "" };
    context.print(&match is_new {
        true => format!("reported {mark}{}{cost}\n", plural(tokens, "token")),
        false => "already recorded; nothing was added\n".to_owned(),
    })
}

/// What an operation is taken to use: a quarter of a token for each character that is read or written; of an edit half of
/// what reading and three tenths of what writing it would take.
fn estimate(config: &Config, operation: Operation, args: &ReportUsageArgs) -> Usage {
    let text = args.chars.map_or(CALL_TOKENS, |chars| chars.div_ceil(4));
    match operation {
        Operation::Read => Usage { input: text, ..Usage::default() },
        Operation::Write => Usage { output: text, ..Usage::default() },
        Operation::Edit => {
            Usage { input: text.div_ceil(2), output: text.saturating_mul(3).div_ceil(10), ..Usage::default() }
        }
        Operation::Tool => {
            Usage { output: CALL_TOKENS, input: args.chars.map_or(0, |_| text), ..Usage::default() }
        }
        Operation::Subagent => {
            Usage { input: defaults_for(args.tool.as_deref(), &config.subagents).billed, ..Usage::default() }
        }
    }
}
