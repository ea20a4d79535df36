//! `init`, `uninstall` and the others that write settings, beside programs that write them too: nobody's change is lost.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::support::Ledger;

/// How an editor saves a file.
#[derive(Clone, Copy)]
enum Saves {
    /// Into the file itself.
    InPlace,
    /// Into another one that takes its name.
    ByRename,
}

fn settings_of(path: &Path) -> Option<Map<String, Value>> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// Adds members until it is told to stop, each to what it reads then. Returns how many.
fn edit(path: &Path, saves: Saves, is_over: &AtomicBool) -> usize {
    let other = path.with_extension("editor");
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(30));
        let Some(mut settings) = settings_of(path) else { continue };
        settings.insert(format!("change{number:05}"), Value::from(number));
        let text = serde_json::to_vec_pretty(&settings).unwrap();
        match saves {
            Saves::InPlace => std::fs::write(path, text).unwrap(),
            Saves::ByRename => {
                std::fs::write(&other, text).unwrap();
                std::fs::rename(&other, path).unwrap();
            }
        }
        number += 1;
    }
    number
}

fn beside_an_editor(saves: Saves, commands: &[&[&str]]) -> (Ledger, PathBuf) {
    let ledger = Ledger::new();
    let path = ledger.project().join(".claude").join("settings.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "{\"model\": \"opus\"}\n").unwrap();
    let is_over = AtomicBool::new(false);
    let changes = std::thread::scope(|scope| {
        let editor = scope.spawn(|| edit(&path, saves, &is_over));
        for args in commands.iter().cycle().take(10.max(commands.len())) {
            let ran = ledger.run(args);
            assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        }
        is_over.store(true, Ordering::Relaxed);
        editor.join().unwrap()
    });
    let settings = settings_of(&path).unwrap();
    let lost: Vec<usize> =
        (0..changes).filter(|number| !settings.contains_key(&format!("change{number:05}"))).collect();
    assert!(changes > 5, "only {changes} changes");
    assert!(lost.is_empty(), "of {changes} changes these were lost: {lost:?}");
    let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let left: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".tallyhook-"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    (ledger, path)
}

const IN_AND_OUT: &[&[&str]] = &[&["init"], &["uninstall"]];

#[test]
fn no_change_of_an_editor_that_saves_by_rename_is_lost() {
    beside_an_editor(Saves::ByRename, IN_AND_OUT);
}

#[test]
fn no_change_of_an_editor_that_saves_in_place_is_lost() {
    beside_an_editor(Saves::InPlace, IN_AND_OUT);
}

#[test]
fn a_budget_that_stops_and_a_status_line_are_registered_beside_an_editor() {
    const SET: &[&str] = &["budget", "set", "5", "--stop"];
    const OTHERS: &[&[&str]] =
        &[&["init", "--statusline"], SET, &["budget", "clear"], SET, &["budget", "clear"], &["uninstall"]];
    beside_an_editor(Saves::ByRename, OTHERS);
}

#[test]
fn drafts_of_a_run_that_was_killed_are_cleared_by_the_next() {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    let link = ledger.home().join(".local/share/tallyhook/bin");
    std::fs::create_dir_all(&link).unwrap();
    let draft = link.join("tallyhook.999999");
    std::os::unix::fs::symlink("/nowhere", &draft).unwrap();
    std::fs::remove_file(link.join("tallyhook")).unwrap();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    assert!(std::fs::symlink_metadata(&draft).is_err());
    assert!(std::fs::symlink_metadata(link.join("tallyhook")).is_ok());
}
