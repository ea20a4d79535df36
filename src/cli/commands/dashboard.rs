//! `tallyhook dashboard`.

use super::args::DashboardArgs;
use super::cost::today;
use super::{Context, budget};
use crate::domain::OneLine as _;
use crate::error::Error;
use crate::present::{PageOptions, Present as _};
use crate::render;
use crate::report::dashboard::Dashboard;
use crate::setup::{SetupError, files};

/// How often the block is put into a note that others write at the same time.
const MAX_ATTEMPTS: usize = 50;

/// Largest note that is read, in bytes.
const MAX_BYTES: u64 = 8 << 20;

pub(super) fn run(context: &Context, args: &DashboardArgs) -> Result<(), Error> {
    let zone = args.tz.clone().unwrap_or_else(|| context.zone.clone());
    let today = today(context, &zone)?;
    let dashboard = match context.ledger()? {
        Some(mut ledger) => {
            context.refresh_allocations(&mut ledger)?;
            let budgets = budget::report(context, &mut ledger, None)?;
            Dashboard::of(&ledger, &zone, today, budgets)?
        }
        None => None,
    };
    let Some(dashboard) = dashboard else {
        return Err(Error::NoData { what: "the ledger has nothing from the last twelve months".to_owned() });
    };
    let path = context.env.cwd().join(&args.markdown);
    let page = dashboard.page(&PageOptions { zone: &zone, ..context.page_options() });
    let body = body(&dashboard, &render::markdown(page, &zone));
    let mut attempts = 0;
    loop {
        let before = files::read_at_most(&path, MAX_BYTES)?;
        let after = render::with_block(before.as_deref().unwrap_or_default(), &body).map_err(|reason| {
            Error::Usage { what: format!("{} was left unchanged: {reason}", path.one_line()) }
        })?;
        if before.as_deref() == Some(&*after) {
            return context.print(&format!("{} is up to date\n", path.one_line()));
        }
        attempts += 1;
        match files::replace(&path, before.as_deref(), &after) {
            // An editor has saved the note meanwhile.
            Err(SetupError::Changed { .. }) if attempts < MAX_ATTEMPTS => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return context.print(&format!("wrote {}\n", path.one_line())),
        }
    }
}

fn body(dashboard: &Dashboard, tables: &str) -> String {
    let heading = dashboard.heading();
    let left_out = dashboard.left_out().map(|(words, models)| {
        let models: Vec<String> = models.iter().map(|model| render::escaped(model)).collect();
        format!("\n{words}: {}\n", models.join(", "))
    });
    format!("## {heading}\n\n{tables}{}", left_out.unwrap_or_default())
}
