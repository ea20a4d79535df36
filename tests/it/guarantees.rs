//! What `docs/guarantees.md` says beyond what other tests hold: what a fault loses, and what comes back by itself.

use crate::support::{Ledger, Ran, Session, answers, copy_folder, files_below, repository};

#[test]
fn nothing_opens_a_connection() {
    for file in files_below(&repository().join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["std::net", "std::os::unix::net", "TcpStream", "UdpSocket", "UnixStream"] {
            assert!(!text.contains(word), "{} has {word}", file.display());
        }
    }
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let crates: Vec<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(crates.contains(&"rusqlite") && crates.len() > 50);
    for network in [
        "async-std",
        "curl",
        "h2",
        "hyper",
        "isahc",
        "mio",
        "native-tls",
        "openssl",
        "quinn",
        "reqwest",
        "rustls",
        "smol",
        "socket2",
        "tokio",
        "ureq",
    ] {
        assert!(!crates.contains(&network), "{network} is among the dependencies");
    }
}

#[test]
fn secrets_in_the_environment_are_not_stored() {
    let ledger =
        Ledger::new().with_var("ANTHROPIC_API_KEY", "sk-ant-a-secret").with_var("A_TOKEN", "another-secret");
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    for payload in [s.start(), s.prompt("p"), s.tool("Bash", "toolu_1"), s.stop(), s.end()] {
        ledger.run_hook(payload).assert_silent("secrets in the environment");
    }
    ledger.run_hook("{\"cut").assert_silent("a fault is noted");
    assert_ne!(ledger.faults(), "");
    let stored = String::from_utf8_lossy(&ledger.bytes()).into_owned();
    assert!(stored.contains("toolu_1"), "the search finds nothing at all");
    assert!(!stored.contains("secret"));
}

/// A hook in a process whose files may not grow: what a disk without room does to it, and needs no disk.
#[cfg(target_os = "linux")]
fn on_a_full_disk(ledger: &Ledger, payload: &serde_json::Value) {
    let mut shell = std::process::Command::new("/bin/sh");
    let hook = ledger.command(&["hook"]);
    shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" hook"]).arg(hook.get_program()).env_clear();
    shell.envs(hook.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::with_stdin(&mut shell, payload.to_string().as_bytes()).assert_silent("a full disk");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_the_estimate_and_not_the_bill() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    ledger.hook(s.start()).hook(s.tool("Bash", "toolu_1"));
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10), s.answer("msg_2", 3, 20)]);
    on_a_full_disk(&ledger, &s.tool("Bash", "toolu_2"));
    on_a_full_disk(&ledger, &s.stop());
    assert_eq!((ledger.calls().len(), ledger.responses("s")), (1, 0));
    // There is room again.
    ledger.hook(s.stop());
    assert_eq!((ledger.calls().len(), ledger.usage("s")), (1, answers(2, 30)));
    ledger.assert_sound();
}

#[test]
fn a_read_only_ledger_loses_nothing_while_its_folder_takes_files() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    ledger.hook(s.start());
    let set_readonly = |readonly: bool| {
        let mut permissions = std::fs::metadata(ledger.path()).unwrap().permissions();
        permissions.set_readonly(readonly);
        std::fs::set_permissions(ledger.path(), permissions).unwrap();
    };
    set_readonly(true);
    // The superuser writes all the same; everybody else's event waits.
    let refused = std::fs::OpenOptions::new().append(true).open(ledger.path()).is_err();
    ledger.run_hook(s.tool("Bash", "toolu_1")).assert_silent("a read-only ledger");
    assert_eq!(ledger.path().with_extension("db.spool").exists(), refused);
    set_readonly(false);
    ledger.hook(s.tool("Bash", "toolu_2"));
    let ids: Vec<_> = ledger.calls().iter().map(|call| call["tool_use_id"].clone()).collect();
    assert_eq!(ids, ["toolu_1", "toolu_2"]);
    ledger.assert_sound();
}

#[test]
fn a_power_cut_loses_the_last_events_and_an_import_brings_the_bill_back() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    ledger.hook(s.start()).hook(s.tool("Bash", "toolu_1")).hook(s.stop());
    // All of that is in the file itself; what comes now stands in the log alone, which a power cut may lose.
    ledger.sqlite().pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    let keep_open = ledger.sqlite();
    let _rows: i64 = keep_open.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    s.transcript().append(&[s.says(3), s.answer("msg_2", 4, 20)]);
    ledger.hook(s.tool("Bash", "toolu_2")).hook(s.stop());
    assert_eq!((ledger.calls().len(), ledger.responses("s")), (2, 2));

    let after = Ledger::new();
    copy_folder(&ledger.dir().join("projects"), &after.dir().join("projects"));
    std::fs::create_dir_all(after.path().parent().unwrap()).unwrap();
    std::fs::copy(ledger.path(), after.path()).unwrap();
    assert_eq!((after.calls().len(), after.responses("s")), (1, 1));
    after.run(&["import", "--path", after.dir().join("projects").to_str().unwrap()]).text();
    assert_eq!((after.calls().len(), after.usage("s")), (1, answers(2, 30)));
    after.assert_sound();
}

#[test]
fn a_transcript_that_cannot_be_read_now_is_read_later() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    // Nobody can read a folder as a file, not even the superuser.
    std::fs::create_dir(s.transcript().path()).unwrap();
    for payload in [s.start(), s.tool("Bash", "toolu_1"), s.stop()] {
        ledger.run_hook(payload).assert_silent("a folder in the transcript's place");
    }
    assert_eq!((ledger.calls().len(), ledger.responses("s")), (1, 0));
    std::fs::remove_dir(s.transcript().path()).unwrap();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(1, 10));
}

#[test]
fn a_ledger_that_is_gone_is_filled_again_by_what_logs_still_have() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10), s.answer("msg_2", 3, 20)]);
    ledger.hook(s.start()).hook(s.tool("Bash", "toolu_1")).hook(s.stop());
    std::fs::remove_dir_all(ledger.path().parent().unwrap()).unwrap();
    ledger.run(&["import", "--path", ledger.dir().join("projects").to_str().unwrap()]).text();
    assert_eq!((ledger.calls().len(), ledger.usage("s")), (0, answers(2, 30)));
}
