//! What contexts have grown by is kept with a session's shares, so that an export reads no context again.

use tallyhook::allocation;
use tallyhook::domain::ModelId;
use tallyhook::estimate::calibrate::Calibration;
use tallyhook::pricing::PriceTable;

use crate::material::{TREE, captured};
use crate::support::{Example, Ledger, repository};

/// An imported tree of whose calls hooks have told, too: all that the transcripts know of them.
fn told(folders: &[std::path::PathBuf]) -> Ledger {
    let ledger = Ledger::new();
    for folder in folders {
        ledger.import_from(folder);
    }
    assert_eq!(ledger.run(&["tools"]).code, Some(0));
    ledger
        .sqlite()
        .execute_batch(
            "INSERT OR IGNORE INTO tool_calls (session, tool_use_id, tool, at, ok, generated_tokens, generated_method,
               returned_tokens, returned_method, refined, input_bytes, response_bytes, action_type)
             SELECT t.session, e.value ->> '$.i', 'Read', 0, 1, 9, 'cl100k', e.value ->> '$.t', 'cl100k', 0, 0, 0, 'manual'
             FROM context_parts p JOIN transcripts t ON t.path = p.path, json_each(p.entries) e
             WHERE e.value ->> '$.k' = 'o';
             UPDATE sessions SET revision = revision + 1;",
        )
        .unwrap();
    assert_eq!(ledger.run(&["tools"]).code, Some(0));
    ledger
}

fn all() -> Ledger {
    told(&[repository().join("examples"), captured(), TREE.projects()])
}

#[test]
fn what_contexts_have_grown_by_is_kept_as_it_is_worked_out_afresh() {
    let (tree, example) = (all(), Example::replayed());
    example.ledger.run(&["tools"]);
    for (ledger, least) in [(&tree, 10), (&example.ledger, 1)] {
        let mut ledger = ledger.open();
        ledger.set_prices(PriceTable::builtin());
        let mut known = 0;
        for session in ledger.sessions().all().unwrap() {
            let kept = ledger.allocations().for_each_of(session.row, |_| {}).unwrap();
            let Some(kept) = kept else { continue };
            let afresh = allocation::growth(&ledger, session.row).unwrap();
            let error = |growth: &tallyhook::store::Growth, learns: bool| {
                growth.error_percent(|model: &ModelId| {
                    if learns { ledger.calibrations().of_model(model) } else { Ok(Calibration::prior(model)) }
                })
            };
            // In whatever order the files were read, and whatever is learned afterwards.
            for learns in [true, false] {
                assert_eq!(error(&kept, learns).unwrap(), error(&afresh, learns).unwrap(), "{}", session.id);
            }
            known += u32::from(error(&kept, true).unwrap().is_some());
        }
        assert!(known >= least, "{known} sessions have grown");
    }
}

#[test]
fn an_export_reads_no_context_again() {
    let ledger = all();
    for what in ["sessions", "steps"] {
        let args = ["export", "--what", what];
        let before = ledger.run(&args).stdout;
        let contexts = ledger.sqlite();
        contexts.execute_batch("ALTER TABLE context_parts RENAME TO kept_apart").unwrap();
        contexts
            .execute_batch(
                "CREATE TABLE context_parts (path TEXT, start_offset INTEGER, end_offset INTEGER, entries TEXT)",
            )
            .unwrap();
        let after = ledger.run(&args).stdout;
        contexts
            .execute_batch("DROP TABLE context_parts; ALTER TABLE kept_apart RENAME TO context_parts")
            .unwrap();
        assert_eq!(after, before, "{what}");
        let errors = before.split("\"error_percent\":").skip(1);
        let known = errors.filter(|error| !error.starts_with("null")).count();
        assert!(what != "sessions" || known >= 10, "{known} sessions have grown");
    }
}

#[test]
fn an_estimate_that_changes_afterwards_changes_the_exported_error() {
    let example = Example::replayed();
    let ledger = &example.ledger;
    let error = || {
        let record = ledger.run(&["export", "--what", "sessions", "--format", "json"]).json();
        let shown = ledger.run(&["show-usage", "--session", Example::SESSION, "--json"]).json();
        let sessions = record["sessions"].as_array().unwrap();
        let record = sessions.iter().find(|record| record["id"] == Example::SESSION).unwrap();
        assert_eq!(record["estimate"]["error_percent"], shown["estimate"]["error_percent"]);
        record["estimate"]["error_percent"].as_f64().unwrap()
    };
    let before = error();
    ledger.sqlite().execute("UPDATE tool_calls SET returned_tokens = returned_tokens * 3", []).unwrap();
    let tripled = error();
    assert!((tripled - before).abs() > 1.0, "{tripled} {before}");
    // The same sum, of other calls.
    ledger
        .sqlite()
        .execute_batch(
            "UPDATE tool_calls SET returned_tokens = (SELECT sum(returned_tokens) FROM tool_calls)
               WHERE id = (SELECT max(id) FROM tool_calls);
             UPDATE tool_calls SET returned_tokens = 0 WHERE id != (SELECT max(id) FROM tool_calls);",
        )
        .unwrap();
    error();
}
