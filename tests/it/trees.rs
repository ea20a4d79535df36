//! A law of counting: whatever a tree of sessions looks like, and in whatever order and pieces its files are imported,
//! the ledger says what happened. What happened is known here from the making of the tree, not from reading it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tallyhook::domain::{Timestamp, Usage};

use crate::bill::{OPUS, cost_state, on_opus};
use crate::rollups::assert_rolled_up;
use crate::support::{Ledger, Session, With, answers, at, cases};

/// What happens in a session.
#[derive(Debug, Clone)]
enum Act {
    /// The main conversation answers, in so many lines.
    Answer { output: u16, lines: u8 },
    /// A subagent answers; an old client echoes that in the main file.
    Subagent { agent: u8, output: u16, lines: u8, is_echoed: bool },
    /// A side question: its sidechain repeats all answers of the main conversation.
    Aside { output: u16 },
    /// A call that no line shows.
    Hidden { output: u16 },
    /// The client ends and writes its own total. What follows is a resumed session: a prompt, and so on.
    End,
}

fn any_act() -> impl Strategy<Value = Act> {
    let output = || 0..500_u16;
    prop_oneof![
        4 => (output(), 1..4_u8).prop_map(|(output, lines)| Act::Answer { output, lines }),
        3 => (0..6_u8, output(), 1..4_u8, any::<bool>()).prop_map(|(agent, output, lines, is_echoed)| {
            Act::Subagent { agent, output, lines, is_echoed }
        }),
        1 => output().prop_map(|output| Act::Aside { output }),
        2 => output().prop_map(|output| Act::Hidden { output }),
        2 => Just(Act::End),
    ]
}

/// A session; all but the first may be forks of an earlier one, made after so many of its acts.
#[derive(Debug, Clone)]
struct Plan {
    acts: Vec<Act>,
    fork_of: Option<(Index, Index)>,
    begins: Begins,
}

/// How a session's file begins, and what of a fork's tells that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// Headless, with a note of the client's that is younger than what it copies.
    WithNote,
    /// In a terminal, by an old client: nothing tells.
    Plainly,
    /// In a terminal: each copy of an answer names the session that has asked.
    WithRequestSessions,
    /// By `/branch`: each copy names where it was.
    AsBranch,
}

fn any_beginning() -> impl Strategy<Value = Begins> {
    prop::sample::select(vec![
        Begins::WithNote,
        Begins::Plainly,
        Begins::WithRequestSessions,
        Begins::AsBranch,
    ])
}

fn any_tree() -> impl Strategy<Value = Vec<Plan>> {
    let fork_of = prop::option::of(any::<(Index, Index)>());
    let plan = (prop::collection::vec(any_act(), 1..8), fork_of, any_beginning());
    prop::collection::vec(plan.prop_map(|(acts, fork_of, begins)| Plan { acts, fork_of, begins }), 1..5)
}

/// What a session used, as it is to be found: of its own lines, and hidden as far as the client's last total tells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Truth {
    main: Usage,
    others: Usage,
    hidden: Usage,
    responses: u64,
}

/// A session while it is made.
struct Made {
    session: Session,
    name: String,
    /// The main file so far.
    lines: Vec<Value>,
    truth: Truth,
    /// The client's running total and when it began. A fork goes on with its parent's, if that was written; else it
    /// begins with nothing.
    total: Usage,
    start: i64,
    /// What of it no line shows.
    hidden: Usage,
    /// The last total that was written.
    written: Option<Usage>,
    /// Whether the client has ended, so that whatever comes begins with a prompt.
    has_ended: bool,
}

impl Made {
    fn count(&mut self, usage: Usage) {
        self.truth.responses += 1;
        self.total += usage;
    }
}

/// Makes a tree. The clock and the numbers of messages run through all its sessions.
struct Maker<'t> {
    ledger: &'t Ledger,
    tree: &'t [Plan],
    second: u32,
    messages: u32,
    files: BTreeMap<PathBuf, Vec<Value>>,
    truths: BTreeMap<String, Truth>,
}

impl<'t> Maker<'t> {
    /// Writes the files of a tree; what each session used.
    fn make(ledger: &'t Ledger, tree: &'t [Plan]) -> BTreeMap<String, Truth> {
        let (files, truths) = (BTreeMap::new(), BTreeMap::new());
        let mut maker = Maker { ledger, tree, second: 0, messages: 0, files, truths };
        for number in (0..tree.len()).filter(|number| origin(tree, *number).is_none()) {
            maker.session(number, None);
        }
        for (path, lines) in &maker.files {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(path, text).unwrap();
        }
        maker.truths
    }

    /// A session from its beginning to its end. It waits while its forks are made.
    fn session(&mut self, number: usize, parent: Option<&Made>) {
        let acts = &self.tree[number].acts;
        let mut made = self.begin(number, parent);
        for done in 0..=acts.len() {
            let tree = self.tree;
            for fork in (0..tree.len()).filter(|fork| origin(tree, *fork) == Some((number, done))) {
                self.session(fork, Some(&made));
            }
            if let Some(act) = acts.get(done) {
                self.act(&mut made, act);
            }
        }
        self.files.insert(made.session.transcript().path().to_owned(), made.lines);
        self.truths.insert(made.name, made.truth);
    }

    fn begin(&mut self, number: usize, parent: Option<&Made>) -> Made {
        // A fork's name may sort before or after its parent's.
        let name = format!("{}-session-{number}", ["m", "c", "x"][number % 3]);
        let now = at(self.tick());
        let begins = self.tree[number].begins;
        let first = match begins {
            Begins::WithNote => json!({ "type": "queue-operation", "timestamp": now, "sessionId": name }),
            _ => json!({ "type": "mode", "mode": "normal", "sessionId": name }),
        };
        let mut made = Made {
            session: Session::new(self.ledger, &name),
            name,
            lines: vec![first],
            truth: Truth::default(),
            total: Usage::default(),
            start: Timestamp::parse(&now).unwrap().as_millis() - 100,
            hidden: Usage::default(),
            written: None,
            has_ended: false,
        };
        if let Some(parent) = parent {
            let copied = parent.lines.iter().filter(|line| line["uuid"].is_string());
            made.lines.extend(copied.map(|line| copy(line, &made.name, begins)));
            if let Some(written) = parent.written {
                (made.total, made.start) = (written, parent.start);
            }
        }
        // A fork's file is written for its first prompt, but for a headless one that is ended before.
        if parent.is_none() || begins != Begins::WithNote {
            made.lines.push(made.session.says(self.tick()));
            self.act(&mut made, &Act::Answer { output: 1, lines: 1 });
        }
        made
    }

    fn tick(&mut self) -> u32 {
        self.second += 1;
        self.second
    }

    /// The lines of a new response; the one with its whole usage is not always the last, and all with less are begun ones.
    fn response(&mut self, session: &Session, output: u64, lines: u8) -> Vec<Value> {
        self.messages += 1;
        let id = format!("msg_{}", self.messages);
        let streamed = [output.min(8), output, output / 2];
        let parts = if lines == 1 { &streamed[1..2] } else { &streamed[..lines.into()] };
        let line = |maker: &mut Self, part: u64| {
            let answer = session.answer(&id, maker.tick(), part);
            if part < output { answer.with("message.stop_reason", Value::Null) } else { answer }
        };
        parts.iter().map(|part| line(self, *part)).collect()
    }

    fn act(&mut self, made: &mut Made, act: &Act) {
        let session = made.session.clone();
        if std::mem::replace(&mut made.has_ended, matches!(act, Act::End)) && !made.has_ended {
            made.lines.push(session.says(self.tick()));
        }
        match *act {
            Act::Answer { output, lines } => {
                let output = output.into();
                let lines = self.response(&session, output, lines);
                made.lines.extend(lines);
                made.truth.main += answers(1, output);
                made.count(answers(1, output));
            }
            Act::Subagent { agent, output, lines, is_echoed } => {
                let output = output.into();
                let lines = self.response(&session, output, lines);
                let agent_id = format!("{}-a{agent}", made.name);
                let file = agent_file(&session, agent, &agent_id);
                if is_echoed || file.is_none() {
                    made.lines.extend(lines.iter().map(|line| echo(&session, &agent_id, line)));
                }
                if let Some(file) = file {
                    let lines = lines.into_iter().map(|line| in_sidechain(line, &agent_id));
                    self.files.entry(file).or_default().extend(lines);
                }
                made.truth.others += answers(1, output);
                made.count(answers(1, output));
            }
            Act::Aside { output } => {
                let output = output.into();
                let own = self.response(&session, output, 1);
                let agent_id = format!("{}-aside{}", made.name, self.messages);
                let conversation = made.lines.iter().filter(|line| line["type"] == "assistant").chain(&own);
                let replay = conversation.map(|line| {
                    let request = format!("aside {}", line["requestId"]);
                    in_sidechain(line.clone(), &agent_id).with("requestId", request)
                });
                self.files.insert(
                    agents_folder(&session).join(format!("agent-{agent_id}.jsonl")),
                    replay.collect(),
                );
                made.truth.others += answers(1, output);
                made.count(answers(1, output));
            }
            Act::Hidden { output } => {
                let usage = Usage { output: output.into(), ..Usage::default() };
                made.hidden += usage;
                made.total += usage;
            }
            Act::End => {
                let state = cost_state(&made.name, &[(OPUS, made.total)]);
                made.lines.push(state.with("startTime", made.start));
                made.written = Some(made.total);
                made.truth.hidden = made.hidden;
            }
        }
    }
}

/// Whose fork a session is, and after how many of its acts. Never right before an end: the total written there has the time
/// of what the fork copies, and only by its size can be told that the fork did not go on from it, which takes usage less
/// alike than it is here.
fn origin(tree: &[Plan], number: usize) -> Option<(usize, usize)> {
    let (parent, act) = tree[number].fork_of.filter(|_| number > 0)?;
    let parent = parent.index(number);
    let acts = &tree[parent].acts;
    let act = act.index(acts.len() + 1);
    let ends = acts[act..].iter().take_while(|act| matches!(act, Act::End)).count();
    Some((parent, act + ends))
}

fn agents_folder(session: &Session) -> PathBuf {
    session.transcript().path().with_extension("").join("subagents")
}

/// A line as a fork repeats it.
fn copy(line: &Value, fork: &str, begins: Begins) -> Value {
    let copy = line.clone().with("sessionId", fork);
    match begins {
        Begins::AsBranch => {
            let from = json!({ "sessionId": line["sessionId"], "messageUuid": line["uuid"] });
            copy.with("forkedFrom", from)
        }
        Begins::WithRequestSessions if line["type"] == "assistant" && line["requestSessionId"].is_null() => {
            copy.with("requestSessionId", line["sessionId"].clone())
        }
        _ => copy,
    }
}

/// Where clients of all times have put the files of subagents; two kinds of six have left none.
fn agent_file(session: &Session, agent: u8, agent_id: &str) -> Option<PathBuf> {
    let name = format!("agent-{agent_id}.jsonl");
    match agent {
        0 | 1 => Some(agents_folder(session).join(name)),
        2 => Some(agents_folder(session).join("workflows/wf_1").join(name)),
        3 => Some(session.transcript().path().with_file_name(name)),
        _ => None,
    }
}

fn in_sidechain(line: Value, agent_id: &str) -> Value {
    line.with("isSidechain", true).with("agentId", agent_id)
}

/// A subagent's line as old clients echo it in the main file.
fn echo(session: &Session, agent_id: &str, line: &Value) -> Value {
    let mut echo = session.echo_of(agent_id, "", 0, 0).with("timestamp", line["timestamp"].clone());
    echo["uuid"] = format!("echo of {}", line["uuid"]).into();
    for member in ["uuid", "timestamp", "requestId", "message"] {
        echo["data"]["message"][member] = line[member].clone();
    }
    echo
}

/// Fails unless the ledger says what happened.
fn assert_true(ledger: &Ledger, truths: &BTreeMap<String, Truth>, how: &str) -> Result<(), TestCaseError> {
    assert_rolled_up(ledger, how);
    let sessions = ledger.cost_by("session").by_key();
    let expected: BTreeMap<_, _> = truths
        .iter()
        .map(|(name, truth)| {
            let usage = truth.main + truth.others + truth.hidden;
            (name.clone(), (usage, truth.responses, on_opus(usage)))
        })
        .filter(|(_, (usage, ..))| *usage != Usage::default())
        .collect();
    prop_assert_eq!(sessions, expected, "sessions, imported {}", how);
    let agents = ledger.cost_by("agent");
    let found =
        ["main", "(hidden)"].map(|agent| agents.find(agent).map_or(Usage::default(), |row| row.usage));
    let sum = |part: fn(&Truth) -> Usage| truths.values().map(part).sum::<Usage>();
    prop_assert_eq!(
        found,
        [sum(|truth| truth.main), sum(|truth| truth.hidden)],
        "main and hidden, imported {}",
        how
    );
    Ok(())
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_tree_imported_in_any_order_and_pieces_is_what_happened(
        tree in any_tree(),
        seed in any::<u64>(),
        share in 0..100_usize,
    ) {
        let whole = Ledger::new();
        let truths = Maker::make(&whole, &tree);
        whole.import();
        assert_true(&whole, &truths, "at once")?;

        let pieces = Ledger::new();
        pieces.import_in_pieces(&whole.projects(), seed, share);
        pieces.import_in_pieces(&whole.projects(), seed.rotate_left(32), 100);
        assert_true(&pieces, &truths, "in pieces")?;
        pieces.import();
        assert_true(&pieces, &truths, "again")?;
    }
}
