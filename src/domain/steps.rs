//! Steps: what a session was working on at a time.
//!
//! A step is named by hand (`step start`), or by the agent's own list of tasks (the item in progress); where neither
//! says anything it is the turn. Of steps that overlap the one that was started last counts.

use std::collections::BTreeMap;

use super::{TaskChange, TaskChangeKind, Timestamp};

/// A step that was named by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStep {
    /// Its name.
    pub name: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was ended; `None` while it is open.
    pub ended_at: Option<Timestamp>,
}

/// Whether a name is that of a turn, as steps have it that nothing else names: `turn 4`.
#[must_use]
pub fn is_turn_name(name: &str) -> bool {
    let number = name.strip_prefix("turn ");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A time in which one step was worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpan {
    /// The step.
    pub name: String,
    /// From then on.
    pub from: Timestamp,
    /// Before then; `None` for the last one.
    pub until: Option<Timestamp>,
}

/// The agent's list of tasks, as its last change left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskList {
    /// The item in progress.
    pub current: Option<String>,
    /// Items that are done.
    pub done: u64,
    /// All items.
    pub total: u64,
}

/// Items of a list that is changed one by one.
#[derive(Debug, Default)]
struct Items {
    /// Name, state, and how many changes came before it was set in progress.
    items: BTreeMap<String, (String, String, usize)>,
    changes: usize,
}

impl Items {
    fn change(&mut self, kind: &TaskChangeKind) -> TaskList {
        self.changes += 1;
        let changes = self.changes;
        match kind {
            TaskChangeKind::List { current, done, total } => {
                self.items.clear();
                return TaskList { current: current.clone(), done: *done, total: *total };
            }
            TaskChangeKind::Created { id, name } => {
                let item = self.items.entry(id.clone()).or_insert_with(|| (String::new(), String::new(), 0));
                item.0.clone_from(name);
            }
            TaskChangeKind::Updated { id, status, name } => {
                let item =
                    self.items.entry(id.clone()).or_insert_with(|| (format!("task {id}"), String::new(), 0));
                if let Some(name) = name {
                    item.0.clone_from(name);
                }
                if let Some(status) = status {
                    if status == "in_progress" && item.1 != "in_progress" {
                        item.2 = changes;
                    }
                    item.1.clone_from(status);
                }
            }
        }
        self.items.retain(|_, (_, status, _)| status != "deleted");
        let in_progress = self.items.values().filter(|(_, status, _)| status == "in_progress");
        TaskList {
            current: in_progress.max_by_key(|(_, _, since)| *since).map(|(name, ..)| name.clone()),
            done: self.items.values().filter(|(_, status, _)| status == "completed").count() as u64,
            total: self.items.len() as u64,
        }
    }
}

/// The list after all `changes`.
#[must_use]
pub fn task_list(changes: &[TaskChange]) -> TaskList {
    let mut items = Items::default();
    changes.iter().fold(TaskList::default(), |_, change| items.change(&change.kind))
}

/// The steps of a session, without gaps from its first prompt on. What comes before belongs to the first one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<StepSpan>,
}

impl Timeline {
    /// Lays out the steps. `prompts` and `changes` are in the order of time.
    #[must_use]
    pub fn new(steps: &[NamedStep], changes: &[TaskChange], prompts: &[Timestamp]) -> Self {
        let mut items = Items::default();
        let mut tasks: Vec<(Timestamp, Option<String>)> = Vec::new();
        for change in changes {
            let current = items.change(&change.kind).current;
            if let Some(at) = change.at
                && tasks.last().is_none_or(|(_, last)| *last != current)
            {
                tasks.push((at, current));
            }
        }
        let mut bounds: Vec<Timestamp> = steps
            .iter()
            .flat_map(|step| std::iter::once(step.started_at).chain(step.ended_at))
            .chain(tasks.iter().map(|(at, _)| *at))
            .chain(prompts.iter().copied())
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut spans: Vec<(StepSpan, (u8, usize))> = Vec::new();
        for at in bounds {
            let (name, source) = Self::name_at(at, steps, &tasks, prompts);
            if let Some((last, known)) = spans.last_mut() {
                if *known == source {
                    continue;
                }
                last.until = Some(at);
            }
            spans.push((StepSpan { name, from: at, until: None }, source));
        }
        Self { spans: spans.into_iter().map(|(span, _)| span).collect() }
    }

    /// The step at a time, and what makes it another span than its neighbours.
    fn name_at(
        at: Timestamp,
        steps: &[NamedStep],
        tasks: &[(Timestamp, Option<String>)],
        prompts: &[Timestamp],
    ) -> (String, (u8, usize)) {
        let is_open = |step: &NamedStep| step.started_at <= at && step.ended_at.is_none_or(|end| at < end);
        let open = steps.iter().enumerate().filter(|(_, step)| is_open(step));
        if let Some((number, step)) = open.max_by_key(|(number, step)| (step.started_at, *number)) {
            return (step.name.clone(), (0, number));
        }
        let task = tasks.partition_point(|(since, _)| *since <= at);
        if let Some(Some(name)) = task.checked_sub(1).map(|task| &tasks[task].1) {
            return (name.clone(), (1, task));
        }
        let turn = prompts.partition_point(|prompt| *prompt <= at).max(1);
        (format!("turn {turn}"), (2, turn))
    }

    /// The spans, in the order of time.
    #[must_use]
    pub fn spans(&self) -> &[StepSpan] {
        &self.spans
    }

    /// The step at a time; `None` if nothing is known of the session's course.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<&str> {
        let after = self.spans.partition_point(|span| span.from <= at);
        self.spans.get(after.saturating_sub(1)).map(|span| span.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ToolUseId;

    fn time(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn step(name: &str, from: i64, until: Option<i64>) -> NamedStep {
        NamedStep { name: name.to_owned(), started_at: time(from), ended_at: until.map(time) }
    }

    fn change(at: i64, kind: TaskChangeKind) -> TaskChange {
        TaskChange { call: ToolUseId::new(&format!("call_{at}")).unwrap(), at: Some(time(at)), kind }
    }

    fn update(at: i64, id: &str, status: &str) -> TaskChange {
        let (id, status) = (id.to_owned(), Some(status.to_owned()));
        change(at, TaskChangeKind::Updated { id, status, name: None })
    }

    fn names(timeline: &Timeline) -> Vec<(&str, i64)> {
        timeline.spans().iter().map(|span| (span.name.as_str(), span.from.as_millis() / 60_000)).collect()
    }

    #[test]
    fn turns_fill_what_nobody_has_named() {
        let timeline = Timeline::new(&[step("build", 3, Some(5))], &[], &[time(1), time(4), time(7)]);
        assert_eq!(names(&timeline), [("turn 1", 1), ("build", 3), ("turn 2", 5), ("turn 3", 7)]);
        assert_eq!(timeline.at(time(0)), Some("turn 1"));
        assert_eq!(timeline.at(time(4)), Some("build"));
        assert_eq!(timeline.at(time(99)), Some("turn 3"));
        assert_eq!(Timeline::default().at(time(1)), None);
    }

    #[test]
    fn of_overlapping_steps_the_last_started_counts() {
        let steps = [step("outer", 1, Some(9)), step("inner", 3, Some(5)), step("open", 7, None)];
        let timeline = Timeline::new(&steps, &[], &[time(0)]);
        assert_eq!(names(&timeline), [("turn 1", 0), ("outer", 1), ("inner", 3), ("outer", 5), ("open", 7)]);
    }

    #[test]
    fn the_task_in_progress_is_the_step() {
        let changes = [
            change(1, TaskChangeKind::Created { id: "1".to_owned(), name: "Read".to_owned() }),
            change(2, TaskChangeKind::Created { id: "2".to_owned(), name: "Write".to_owned() }),
            update(3, "1", "in_progress"),
            update(5, "1", "completed"),
            update(6, "2", "in_progress"),
            update(8, "2", "completed"),
            update(9, "1", "in_progress"),
        ];
        let timeline = Timeline::new(&[], &changes, &[time(0)]);
        assert_eq!(
            names(&timeline),
            [("turn 1", 0), ("Read", 3), ("turn 1", 5), ("Write", 6), ("turn 1", 8), ("Read", 9)]
        );
        assert_eq!(task_list(&changes), TaskList { current: Some("Read".to_owned()), done: 1, total: 2 });
    }

    #[test]
    fn a_step_started_again_is_another_span() {
        let steps = [step("a", 1, Some(2)), step("a", 2, Some(3))];
        assert_eq!(names(&Timeline::new(&steps, &[], &[])), [("a", 1), ("a", 2), ("turn 1", 3)]);
    }
}
