//! `Bash`: output, the preview of a long one, the notice of a background command.

use std::borrow::Cow;

use super::super::{CallView, Era, ModelInput, media};
use super::preview;
use crate::domain::Version;
use crate::json::Object;

const NO_OUTPUT: &str = "(Bash completed with no output)";
/// The clients that say so; those before hand on an empty text (seen up to 2.1.39, and said from 2.1.227 on).
const SAYS_NO_OUTPUT: Version = (2, 1, 100);

pub(super) fn reading<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    if let Some(task) = response.text("backgroundTaskId") {
        return Some(ModelInput::notice(format!(
            "Command running in background with ID: {task}. Output is being written to: \
             /tmp/claude-1000/-home-dev-project/00000000-0000-4000-8000-000000000000/tasks/{task}.output. \
             You will be notified when it completes. To check interim output, use Read on that file path."
        )));
    }
    let stdout = response.text("stdout")?;
    if response.is_true("isImage") {
        let data = stdout.rsplit(',').next().unwrap_or_default();
        return Some(ModelInput::media(media::base64_image(data)));
    }
    let stderr = response.text("stderr").unwrap_or_default();
    let output = match (stdout.is_empty(), stderr.is_empty()) {
        (true, true) if call.is_before(SAYS_NO_OUTPUT, &[Era::Early, Era::Middle]) => stdout,
        (true, true) => return Some(ModelInput::notice(NO_OUTPUT)),
        (false, true) => stdout,
        (true, false) => stderr,
        (false, false) => Cow::Owned(format!("{stdout}\n{stderr}")),
    };
    // Long output is saved to a file and only previewed (`docs/facts.md#what-the-model-reads`); clients of 2025 hand all of
    // it on.
    Some(match response.text("persistedOutputPath") {
        Some(path) => {
            let size = response.count("persistedOutputSize").unwrap_or(output.len() as u64);
            ModelInput::text(preview(&output, size, &path))
        }
        None => ModelInput::text(output),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ToolName;

    #[test]
    fn old_clients_say_nothing_of_empty_output() {
        let tool = ToolName::new("Bash");
        let read = |era, version| {
            let call =
                CallView { tool: &tool, input: None, response: None, error: None, cwd: None, era, version };
            let response = Object::parse(r#"{"stdout":"","stderr":""}"#).unwrap();
            reading(&call, &response).unwrap().texts.concat()
        };
        assert_eq!(read(Era::Middle, None), "");
        assert_eq!(read(Era::Current, Some((2, 1, 39))), "");
        assert_eq!(read(Era::Current, None), NO_OUTPUT);
        assert_eq!(read(Era::Middle, Some((2, 1, 227))), NO_OUTPUT);
    }
}
