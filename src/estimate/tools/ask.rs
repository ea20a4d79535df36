//! `AskUserQuestion`: the answers in one sentence; the options that were not chosen are not repeated.

use std::fmt::Write as _;

use super::super::{CallView, ModelInput};
use crate::json::{self, Object};

pub(super) fn reading<'a>(_call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    let answers = response.object("answers")?;
    let mut text = "User has answered your questions:".to_owned();
    for (at, (question, answer)) in answers.members().enumerate() {
        let answer = json::text(answer).unwrap_or_default();
        let comma = if at > 0 { "," } else { "" };
        // Writing into a String cannot fail.
        let _ignored = write!(text, "{comma} \"{question}\"=\"{answer}\"").is_ok();
    }
    text.push_str(". You can now continue with the user's answers in mind.");
    Some(ModelInput::notice(text))
}

#[cfg(test)]
mod tests {
    use super::super::super::{CallView, Era};
    use super::*;
    use crate::domain::ToolName;

    #[test]
    fn only_the_answers_are_read() {
        let tool = ToolName::new("AskUserQuestion");
        let call = CallView {
            tool: &tool,
            input: None,
            response: None,
            error: None,
            cwd: None,
            era: Era::Current,
            version: None,
        };
        let response =
            r#"{"answers":{"Which?":"a","When?":"now"},"questions":[{"question":"Which?","options":[]}]}"#;
        let reading = reading(&call, &Object::parse(response).unwrap()).unwrap();
        assert_eq!(
            reading.texts,
            [
                r#"User has answered your questions: "Which?"="a", "When?"="now". You can now continue with the user's answers in mind."#
            ]
        );
    }
}
