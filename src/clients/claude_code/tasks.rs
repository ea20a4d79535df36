//! The list of tasks that an agent keeps, as its calls tell it: `TodoWrite` until early 2026, `TaskCreate` and
//! `TaskUpdate` since.

use crate::domain::{MAX_NAME_CHARS, TaskChangeKind, ToolName, clean_name};
use crate::json::Object;

/// Most tasks of a list that are looked at: many times what an agent keeps.
const MAX_TASKS: usize = 1_000;

/// What a call of `tool` does to the list; `None` if nothing. A payload has both input and response, a transcript
/// first the one and then the other.
#[must_use]
pub(super) fn task_change(
    tool: &ToolName,
    input: Option<&Object<'_>>,
    response: Option<&Object<'_>>,
) -> Option<TaskChangeKind> {
    let name = |object: &Object<'_>, member: &str| {
        object.text(member).and_then(|name| clean_name(&name, MAX_NAME_CHARS))
    };
    match tool.as_str() {
        "TodoWrite" => {
            let items: Vec<Object<'_>> =
                input?.array("todos").into_iter().take(MAX_TASKS).filter_map(Object::from_raw).collect();
            let is = |item: &&Object<'_>, status: &str| item.text("status").as_deref() == Some(status);
            Some(TaskChangeKind::List {
                current: items
                    .iter()
                    .find(|item| is(item, "in_progress"))
                    .and_then(|item| name(item, "content")),
                done: items.iter().filter(|item| is(item, "completed")).count() as u64,
                total: items.len() as u64,
            })
        }
        "TaskCreate" => {
            let task = response?.object("task")?;
            Some(TaskChangeKind::Created { id: name(&task, "id")?, name: name(&task, "subject")? })
        }
        "TaskUpdate" => {
            let input = input?;
            Some(TaskChangeKind::Updated {
                id: name(input, "taskId")?,
                status: name(input, "status"),
                name: name(input, "subject"),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(tool: &str, input: &str, response: &str) -> Option<TaskChangeKind> {
        let (input, response) = (Object::parse(input).unwrap(), Object::parse(response).unwrap());
        task_change(&ToolName::new(tool), Some(&input), Some(&response))
    }

    #[test]
    fn the_list_of_tasks_is_read_in_both_ways() {
        let todos = r#"{"todos":[{"content":"Read","status":"completed"},{"content":"Write it","status":"in_progress"},
            {"content":"Test","status":"pending"}]}"#;
        assert_eq!(
            change("TodoWrite", todos, "{}"),
            Some(TaskChangeKind::List { current: Some("Write it".to_owned()), done: 1, total: 3 })
        );
        assert_eq!(
            change("TaskCreate", "{}", r#"{"task":{"id":"1","subject":"First task","description":"x"}}"#),
            Some(TaskChangeKind::Created { id: "1".to_owned(), name: "First task".to_owned() })
        );
        assert_eq!(
            change("TaskUpdate", r#"{"taskId":"1","status":"in_progress"}"#, "{}"),
            Some(TaskChangeKind::Updated {
                id: "1".to_owned(),
                status: Some("in_progress".to_owned()),
                name: None
            })
        );
        assert_eq!(change("Bash", "{}", "{}"), None);
    }
}
