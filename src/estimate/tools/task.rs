//! The task lists (`TodoWrite`, `Task…`) and `Skill`: short confirmations.

use std::fmt::Write as _;

use super::super::{CallView, ModelInput};
use super::input_text;
use crate::domain::Version;
use crate::json::Object;

const TODOS_WRITTEN: &str = "Todos have been modified successfully. Ensure that you continue to use the todo list \
                             to track your progress. Please proceed with the current tasks if applicable";

/// Clients before 2.0 repeat the list after it, as it was written: calls of 1.0.17 made contexts grow by 200 to 300 tokens,
/// the more the longer the list, those of 2.0.42 by 42.
const LIST_REPEATED_UNTIL: Version = (2, 0, 0);
const LIST_REPEATED: &str = "<system-reminder>\nYour todo list has changed. DO NOT mention this explicitly to the \
                             user. Here are the latest contents of your todo list:\n\n. Continue on with the tasks \
                             at hand if applicable.\n</system-reminder>";

pub(super) fn reading<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    let task = response.object("task");
    let field = |name: &str| task.as_ref().and_then(|task| task.text(name)).unwrap_or_default();
    let text = match call.tool.as_str() {
        "TodoWrite" => {
            let list = call.input.filter(|_| call.version.is_some_and(|own| own < LIST_REPEATED_UNTIL));
            let list = list.and_then(|input| Object::from_raw(input)?.raw("todos"));
            list.map_or_else(
                || TODOS_WRITTEN.to_owned(),
                |list| format!("{TODOS_WRITTEN}{LIST_REPEATED}{}", list.get()),
            )
        }
        "TaskCreate" => format!("Task #{} created successfully: {}", field("id"), field("subject")),
        "TaskUpdate" => {
            let fields = response.array("updatedFields");
            let fields: Vec<_> = fields.into_iter().filter_map(crate::json::text).collect();
            format!("Updated task #{} {}", response.text("taskId")?, fields.join(", "))
        }
        "TaskGet" => format!(
            "Task #{}: {}\nStatus: {}\nDescription: {}",
            field("id"),
            field("subject"),
            field("status"),
            field("description")
        ),
        "TaskList" => task_list(response),
        "Skill" => {
            let name = response.text("commandName").or_else(|| input_text(call, "skill"))?;
            format!("Launching skill: {name}")
        }
        _ => return None,
    };
    Some(ModelInput::notice(text))
}

fn task_list(response: &Object<'_>) -> String {
    let mut text = String::new();
    for task in response.array("tasks").into_iter().filter_map(Object::from_raw) {
        let field = |name: &str| task.text(name).unwrap_or_default();
        // Writing into a String cannot fail.
        let _ignored = writeln!(text, "#{} [{}] {}", field("id"), field("status"), field("subject")).is_ok();
    }
    if text.is_empty() { "No tasks found".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::super::Era;
    use super::*;
    use crate::domain::ToolName;
    use crate::json::Raw;

    #[test]
    fn old_clients_repeat_the_list() {
        let tool = ToolName::new("TodoWrite");
        let input = r#"{"todos":[{"content":"Look","status":"pending"}]}"#;
        let text = |version| {
            let call = CallView {
                tool: &tool,
                input: Raw::parse(input).ok(),
                response: None,
                error: None,
                cwd: None,
                era: Era::Early,
                version,
            };
            reading(&call, &Object::default()).unwrap().texts[0].clone().into_owned()
        };
        assert_eq!(text(Some((2, 0, 42))), TODOS_WRITTEN);
        assert_eq!(text(None), TODOS_WRITTEN);
        assert!(text(Some((1, 0, 17))).ends_with(r#"[{"content":"Look","status":"pending"}]"#));
    }
}
