//! `ToolSearch`: names in the payload, whole definitions in the model's context.

use super::super::{CallView, ModelInput};
use crate::domain::Method;
use crate::json::Object;

/// What the definition of one tool takes, in tokens of `cl100k_base`: 6 searches for 10 tools in transcripts of 2.1.227
/// and 2.1.232 made the context grow by 480 to 900 for each tool, by the model's slope.
const TOKENS_PER_DEFINITION: u64 = 600;
/// More than a search returns.
const MAX_DEFINITIONS: u64 = 100;

pub(super) fn reading<'a>(_call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    response.raw("matches")?;
    let found = (response.array("matches").len() as u64).min(MAX_DEFINITIONS);
    Some(ModelInput::tokens(found * TOKENS_PER_DEFINITION, Method::Notice))
}

#[cfg(test)]
mod tests {
    use super::super::super::Era;
    use super::*;
    use crate::domain::ToolName;

    #[test]
    fn each_tool_that_was_found_brings_its_definition() {
        let tool = ToolName::new("ToolSearch");
        let call = CallView {
            tool: &tool,
            input: None,
            response: None,
            error: None,
            cwd: None,
            era: Era::Current,
            version: None,
        };
        let tokens = |response: &str| Some(reading(&call, &Object::parse(response).unwrap())?.tokens);
        assert_eq!(tokens(r#"{"matches":["TaskCreate","TaskUpdate"],"query":"x"}"#), Some(1_200));
        assert_eq!(tokens(r#"{"matches":[]}"#), Some(0));
        assert_eq!(tokens(r#"{"error":"none"}"#), None);
    }
}
