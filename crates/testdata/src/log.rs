//! A transcript while it is written: lines of JSON, the members that all of them have where the client of the time puts them.

use crate::clock::rfc3339;

/// A file of lines.
#[derive(Debug, Default, Clone)]
pub(crate) struct Log {
    /// Below the tree's folder, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) lines: u64,
    /// The record that the next one follows.
    pub(crate) parent: Option<String>,
}

/// The members that all records of a session have.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// `"userType":…,"cwd":…,"sessionId":…`, without a comma around it.
    pub(crate) members: String,
    /// Clients up to 2.1.99 write them first, later ones last.
    pub(crate) stand_first: bool,
}

/// Whose record it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whose<'a> {
    pub(crate) is_sidechain: bool,
    pub(crate) agent: Option<&'a str>,
}

impl Log {
    pub(crate) fn new(path: String) -> Self {
        Self { path, ..Self::default() }
    }

    /// Adds a record of the conversation. `body` is its own members, without a comma around them.
    pub(crate) fn record(
        &mut self,
        common: &Common,
        whose: Whose<'_>,
        kind: &str,
        body: &str,
        at: i64,
        uuid: &str,
    ) {
        let text = &mut self.text;
        match &self.parent {
            Some(parent) => push(text, &["{\"parentUuid\":\"", parent, "\",\"isSidechain\":"]),
            None => text.push_str("{\"parentUuid\":null,\"isSidechain\":"),
        }
        text.push_str(if whose.is_sidechain { "true," } else { "false," });
        if common.stand_first {
            push(text, &[&common.members, ","]);
        }
        if let Some(agent) = whose.agent {
            push(text, &["\"agentId\":\"", agent, "\","]);
        }
        push(
            text,
            &[body, ",\"type\":\"", kind, "\",\"uuid\":\"", uuid, "\",\"timestamp\":\"", &rfc3339(at), "\""],
        );
        if !common.stand_first {
            push(text, &[",", &common.members]);
        }
        text.push_str("}\n");
        self.lines += 1;
        self.parent = Some(uuid.to_owned());
    }

    /// Adds a line that is no record of the conversation.
    pub(crate) fn note(&mut self, line: &str) {
        push(&mut self.text, &[line, "\n"]);
        self.lines += 1;
    }
}

/// Appends parts to a text.
pub(crate) fn push(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}
