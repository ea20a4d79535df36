//! `WebFetch` and `WebSearch`.

use super::super::{CallView, ModelInput};
use crate::json::{self, Object};

/// What the client adds to search results for the model.
const SOURCES_REMINDER: &str = "\n\nREMINDER: You MUST include the sources above in your response to the user using markdown hyperlinks.";

pub(super) fn reading<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    if call.tool.as_str() == "WebFetch" {
        return response.text("result").map(ModelInput::text);
    }
    let query = response.text("query")?;
    let mut text = format!("Web search results for query: \"{query}\"\n");
    for result in response.array("results") {
        text.push('\n');
        match json::text(result) {
            Some(summary) => text.push_str(&summary),
            None => {
                // The links go to the model as JSON, so their JSON is what it reads.
                let links = Object::from_raw(result).and_then(|result| result.raw("content"));
                text.push_str("Links: ");
                text.push_str(links.map_or("[]", |links| links.get()));
            }
        }
        text.push('\n');
    }
    text.push_str(SOURCES_REMINDER);
    Some(ModelInput::text(text))
}
