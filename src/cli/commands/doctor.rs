//! `tallyhook doctor`.

use super::args::DoctorArgs;
use super::init::{HooksFile, Plan};
use super::scopes::{contested_note, own_scopes};
use super::{Context, Extent, import};
use crate::doctor::{self, DoctorReport, Fix, Subject};
use crate::domain::{OneLine as _, plural};
use crate::error::Error;
use crate::ingest::backfill::{LogRoot, usual_roots};
use crate::platform;
use crate::pricing::PriceTable;
use crate::setup::SetupError;
use crate::setup::client::{self, InstalledClient};
use crate::setup::view::SettingsView;
use crate::store::{Ledger, Recovered};

pub(super) fn run(context: &Context, args: &DoctorArgs) -> Result<(), Error> {
    let client = client::find(&context.env);
    let mut report = examine(context, client.as_ref(), args.verify)?;
    if args.fix {
        let mut fixed = 0;
        for fix in report.checks.iter().filter_map(|check| check.fix.as_ref()) {
            match carry_out(context, fix, client.as_ref()) {
                Ok(()) => fixed += 1,
                Err(error) => context.say(&format!("tallyhook: {error}")),
            }
        }
        if fixed > 0 {
            report = examine(context, client.as_ref(), args.verify)?;
        }
    }
    let failures = report.failures;
    context.show(args.output.format(), &report, Extent::default())?;
    if failures > 0 { Err(Error::Unhealthy { failures }) } else { Ok(()) }
}

fn examine(context: &Context, client: Option<&InstalledClient>, verify: bool) -> Result<DoctorReport, Error> {
    let ledger_path = context.ledger_path()?;
    let (prices, prices_fault) = match context.prices() {
        Ok(prices) => (prices, None),
        Err(error) => (PriceTable::builtin(), Some(error.to_string())),
    };
    let subject = Subject {
        env: &context.env,
        ledger_path: &ledger_path,
        ledger: context.open_ledger()?,
        scopes: own_scopes(context),
        view: SettingsView::of(&context.env),
        config: context.options.config.as_deref(),
        client: client.cloned(),
        prices,
        prices_fault,
        verify,
    };
    Ok(doctor::examine(&subject))
}

fn carry_out(context: &Context, fix: &Fix, client: Option<&InstalledClient>) -> Result<(), Error> {
    match fix {
        Fix::Register(scope) => {
            let backups = context.backups()?;
            let (_, contested) = Plan::carry_out(context, scope, client, HooksFile::Refresh, &backups)?;
            for path in &contested {
                context.say(&format!("tallyhook: {}", contested_note(path)));
            }
        }
        Fix::MakePrivate(path) => {
            platform::make_private(path)
                .map_err(|source| SetupError::Write { path: path.clone(), source })?;
        }
        Fix::Recover => recover(context)?,
    }
    Ok(())
}

/// Makes a new ledger of a damaged one, and says what was kept.
fn recover(context: &Context) -> Result<(), Error> {
    let path = context.ledger_path()?;
    let is_ours = path.parent() == context.env.data_folder().as_deref();
    let Recovered { set_aside, kept, missing, unreadable, transcripts } =
        Ledger::recover(&path, is_ours, context.env.now())?;
    context.say(&format!("The damaged ledger was moved to {}", set_aside.one_line()));
    context.say(&match counted(&kept) {
        Some(kept) => format!("Kept: {kept}"),
        None => "None of it was readable".to_owned(),
    });
    let mut lost: Vec<String> = counted(&missing).into_iter().collect();
    if unreadable > 0 {
        lost.push(format!("{} couldn't be read", plural(unreadable, "page or record")));
    }
    if !lost.is_empty() {
        context.say(&format!("Not kept: {}", lost.join("; ")));
    }
    let mut roots = usual_roots(&context.env, None);
    let is_usual = |path: &std::path::PathBuf| roots.iter().any(|root| path.starts_with(&root.path));
    let others: Vec<std::path::PathBuf> = transcripts.into_iter().filter(|path| !is_usual(path)).collect();
    roots.extend(others.into_iter().map(LogRoot::of_any));
    let report = import::read(context, &path, &roots)?;
    context.say(&format!("Recovered from transcripts: {}", import::summary(&report).trim_end()));
    Ok(())
}

/// Numbers with their words; `None` if there are none.
fn counted(numbers: &[(&str, u64)]) -> Option<String> {
    let parts: Vec<String> = numbers.iter().map(|(word, number)| plural(*number, word)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
