//! The members of a transcript's line that mean something.
//!
//! Nearly all lines are read in one pass that keeps only these. What is not written plainly goes through [`Object`], which
//! comes to the same (a property test holds it) and knows what to do with broken lines.

use std::borrow::Cow;

use crate::domain::Timestamp;
use crate::json::{Fields, Nested, Object, RepeatedFields, first_byte, is_end, lossy};

/// Makes a list of members: a place for each name.
macro_rules! members {
    ($(#[$doc:meta])* $list:ident { $($member:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $list {
            $($member,)*
        }

        impl $list {
            const COUNT: usize = [$(Self::$member),*].len();

            fn place(name: &[u8]) -> Option<usize> {
                match name {
                    $($name => Some(Self::$member as usize),)*
                    _ => None,
                }
            }
        }
    };
}

members! {
    /// Of a line.
    LineField {
        Type = b"type",
        SessionId = b"sessionId",
        AgentId = b"agentId",
        IsSidechain = b"isSidechain",
        Timestamp = b"timestamp",
        Message = b"message",
        Uuid = b"uuid",
        RequestId = b"requestId",
        PromptId = b"promptId",
        GitBranch = b"gitBranch",
        Cwd = b"cwd",
        Version = b"version",
        Slug = b"slug",
        UserType = b"userType",
        Entrypoint = b"entrypoint",
        IsMeta = b"isMeta",
        IsCompactSummary = b"isCompactSummary",
        AttributionAgent = b"attributionAgent",
        AttributionSkill = b"attributionSkill",
        Data = b"data",
        Subtype = b"subtype",
        CompactMetadata = b"compactMetadata",
        ModelUsage = b"modelUsage",
        StartTime = b"startTime",
        AiTitle = b"aiTitle",
        CustomTitle = b"customTitle",
        ForkedFrom = b"forkedFrom",
        RequestSession = b"requestSessionId",
        StreamSession = b"session_id",
        StreamTime = b"_audit_timestamp",
        ParentCall = b"parent_tool_use_id",
        LeafUuid = b"leafUuid",
    }
}

impl LineField {
    /// Whether line after line says the same there. The client writes most of these side by side.
    fn is_repeated(place: usize) -> bool {
        const REPEATED: [LineField; 9] = [
            LineField::IsSidechain,
            LineField::AgentId,
            LineField::UserType,
            LineField::Entrypoint,
            LineField::Cwd,
            LineField::SessionId,
            LineField::Version,
            LineField::GitBranch,
            LineField::Slug,
        ];
        REPEATED.iter().any(|member| *member as usize == place)
    }
}

members! {
    /// Of a line's `message`.
    MessageField {
        Id = b"id",
        Model = b"model",
        Content = b"content",
        StopReason = b"stop_reason",
        Usage = b"usage",
    }
}

members! {
    /// Of a `progress` line's `data`.
    DataField {
        Echo = b"message",
        AgentId = b"agentId",
    }
}

members! {
    /// Of a message's `usage`, and of each of its `iterations`.
    UsageField {
        Input = b"input_tokens",
        Output = b"output_tokens",
        CacheRead = b"cache_read_input_tokens",
        CacheWrite = b"cache_creation_input_tokens",
        CacheCreation = b"cache_creation",
        ServerToolUse = b"server_tool_use",
        Iterations = b"iterations",
        Speed = b"speed",
        InferenceGeo = b"inference_geo",
        ServiceTier = b"service_tier",
        Type = b"type",
        Model = b"model",
    }
}

members! {
    /// Of the objects in `usage`.
    InPart {
        Short = b"ephemeral_5m_input_tokens",
        Long = b"ephemeral_1h_input_tokens",
        WebSearches = b"web_search_requests",
    }
}

/// A line.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    members: Fields<'a, { LineField::COUNT }>,
    /// Its message, if that is an object.
    pub(super) message: Option<MessagePart<'a>>,
}

/// A line's message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessagePart<'a> {
    members: Fields<'a, { MessageField::COUNT }>,
    /// Its usage, if that is an object.
    pub(super) usage: Option<UsagePart<'a>>,
}

/// A message's usage.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsagePart<'a> {
    members: Fields<'a, { UsageField::COUNT }>,
    creation: Option<Fields<'a, { InPart::COUNT }>>,
    tools: Option<Fields<'a, { InPart::COUNT }>>,
}

/// What a `progress` line tells: a line of a subagent's, and whose it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Data<'a> {
    members: Fields<'a, { DataField::COUNT }>,
    /// The line.
    pub(super) echo: Option<Line<'a>>,
}

impl<'a> Data<'a> {
    /// Reads it in one pass; `None` if it is one for [`Object`].
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut data = Self::default();
        let Self { members, echo } = &mut data;
        let end = members.read(bytes, 0, DataField::place, |place, start| {
            if place == DataField::Echo as usize {
                inside(echo, Line::read_at, bytes, start)
            } else {
                Nested::Unread
            }
        })?;
        is_end(bytes, end).then_some(data)
    }

    /// One that was read already.
    pub(super) fn of(data: &Object<'a>) -> Self {
        let echo = data.object("message");
        Self { members: Fields::of(data, DataField::place), echo: echo.map(|echo| Line::of(&echo)) }
    }

    /// The member's text, if it is a string.
    pub(super) fn text(&self, member: DataField) -> Option<Cow<'a, str>> {
        self.members.text(member as usize)
    }
}

impl<'a> Line<'a> {
    /// Reads a line in one pass into one that is empty; `false` if it is one for [`Object`]. In place, for a line is as
    /// large as a fifth of what it was read from. `repeated` is what the lines before had in common.
    pub(super) fn read(&mut self, bytes: &'a [u8], repeated: &mut RepeatedFields) -> bool {
        let Self { members, message } = self;
        let from = (bytes, first_byte(bytes));
        let end = members.read_repeating(
            from,
            repeated,
            LineField::is_repeated,
            LineField::place,
            |place, start| message_inside(message, bytes, place, start),
        );
        end.is_some_and(|end| is_end(bytes, end))
    }

    fn read_at(&mut self, bytes: &'a [u8], start: usize) -> Option<usize> {
        let Self { members, message } = self;
        members
            .read(bytes, start, LineField::place, |place, start| message_inside(message, bytes, place, start))
    }

    /// A line that was read already.
    pub(super) fn of(line: &Object<'a>) -> Self {
        let message = line.object("message");
        Self {
            members: Fields::of(line, LineField::place),
            message: message.map(|message| MessagePart::of(&message)),
        }
    }

    /// Whether the member is a string that is written just like `text`; see [`Fields::is_written`].
    pub(super) fn is_written(&self, member: LineField, text: &str) -> bool {
        self.members.is_written(member as usize, text)
    }

    /// The member's text, if it is a string.
    pub(super) fn text(&self, member: LineField) -> Option<Cow<'a, str>> {
        self.members.text(member as usize)
    }

    /// The member's text as bytes; see [`Fields::word`].
    pub(super) fn word(&self, member: LineField) -> Option<Cow<'a, [u8]>> {
        self.members.word(member as usize)
    }

    /// The member's time, if it is one.
    pub(super) fn time(&self, member: LineField) -> Option<Timestamp> {
        let text = self.members.word(member as usize)?;
        Timestamp::parse_usual(&text).or_else(|| Timestamp::parse(&lossy(&text)))
    }

    /// Whether the member is `true`.
    pub(super) fn is_true(&self, member: LineField) -> bool {
        self.members.is_true(member as usize)
    }

    /// The member's unparsed value; `null` counts as absent.
    pub(super) fn bytes(&self, member: LineField) -> Option<&'a [u8]> {
        self.members.bytes(member as usize)
    }

    /// The member's unparsed value as text.
    pub(super) fn json(&self, member: LineField) -> Option<Cow<'a, str>> {
        self.bytes(member).map(lossy)
    }
}

impl<'a> MessagePart<'a> {
    fn read(&mut self, bytes: &'a [u8], start: usize) -> Option<usize> {
        let Self { members, usage } = self;
        members.read(bytes, start, MessageField::place, |place, start| {
            if place == MessageField::Usage as usize {
                inside(usage, UsagePart::read, bytes, start)
            } else {
                Nested::Unread
            }
        })
    }

    fn of(message: &Object<'a>) -> Self {
        let usage = message.object("usage");
        Self {
            members: Fields::of(message, MessageField::place),
            usage: usage.map(|usage| UsagePart::of(&usage)),
        }
    }

    /// Whether the member is a string that is written just like `text`; see [`Fields::is_written`].
    pub(super) fn is_written(&self, member: MessageField, text: &str) -> bool {
        self.members.is_written(member as usize, text)
    }

    /// The member's text, if it is a string.
    pub(super) fn text(&self, member: MessageField) -> Option<Cow<'a, str>> {
        self.members.text(member as usize)
    }

    /// The member's text as bytes; see [`Fields::word`].
    pub(super) fn word(&self, member: MessageField) -> Option<Cow<'a, [u8]>> {
        self.members.word(member as usize)
    }

    /// The unparsed content.
    pub(super) fn content(&self) -> Option<&'a [u8]> {
        self.members.bytes(MessageField::Content as usize)
    }
}

impl<'a> UsagePart<'a> {
    fn read(&mut self, bytes: &'a [u8], start: usize) -> Option<usize> {
        let Self { members, creation, tools } = self;
        members.read(bytes, start, UsageField::place, |place, start| {
            if place == UsageField::CacheCreation as usize {
                inside(creation, read_part, bytes, start)
            } else if place == UsageField::ServerToolUse as usize {
                inside(tools, read_part, bytes, start)
            } else {
                Nested::Unread
            }
        })
    }

    /// A usage, or one of its iterations, that was read already.
    pub(super) fn of(usage: &Object<'a>) -> Self {
        let part = |name| usage.object(name).map(|part| Fields::of(&part, InPart::place));
        Self {
            members: Fields::of(usage, UsageField::place),
            creation: part("cache_creation"),
            tools: part("server_tool_use"),
        }
    }

    /// The member's text, if it is a string.
    pub(super) fn text(&self, member: UsageField) -> Option<Cow<'a, str>> {
        self.members.text(member as usize)
    }

    /// The member's text as bytes; see [`Fields::word`].
    pub(super) fn word(&self, member: UsageField) -> Option<Cow<'a, [u8]>> {
        self.members.word(member as usize)
    }

    /// The member's count, if it can be read as one.
    pub(super) fn count(&self, member: UsageField) -> Option<u64> {
        self.members.count(member as usize)
    }

    /// The unparsed iterations.
    pub(super) fn iterations(&self) -> Option<&'a [u8]> {
        self.members.bytes(UsageField::Iterations as usize)
    }

    /// The cache writes for 5 minutes and for 1 hour, as far as they are split.
    pub(super) fn split(&self) -> (u64, u64) {
        let count = |member| self.creation.and_then(|part| part.count(member as usize)).unwrap_or(0);
        (count(InPart::Short), count(InPart::Long))
    }

    /// Searches of the web.
    pub(super) fn web_searches(&self) -> u64 {
        self.tools.and_then(|part| part.count(InPart::WebSearches as usize)).unwrap_or(0)
    }
}

/// Reads the message that is a line's member.
fn message_inside<'a>(
    message: &mut Option<MessagePart<'a>>,
    bytes: &'a [u8],
    place: usize,
    start: usize,
) -> Nested {
    if place == LineField::Message as usize {
        inside(message, MessagePart::read, bytes, start)
    } else {
        Nested::Unread
    }
}

fn read_part<'a>(part: &mut Fields<'a, { InPart::COUNT }>, bytes: &'a [u8], start: usize) -> Option<usize> {
    part.read(bytes, start, InPart::place, |_, _| Nested::Unread)
}

/// Reads the object that is a member's value; other values are none. Of members with one name the last counts.
fn inside<'a, T: Default>(
    object: &mut Option<T>,
    read: impl FnOnce(&mut T, &'a [u8], usize) -> Option<usize>,
    bytes: &'a [u8],
    start: usize,
) -> Nested {
    *object = None;
    if bytes.get(start) != Some(&b'{') {
        return Nested::Unread;
    }
    read(object.insert(T::default()), bytes, start).map_or(Nested::Unknown, Nested::EndsAt)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use proptest::prelude::*;
    use tallyhook_testdata::{Prices, Recipe, collected, make};

    use super::*;

    /// What [`Object`] makes of a line, in the words of the fast reader; `None` if it is no object.
    fn slowly(text: &str) -> Option<Line<'_>> {
        Object::parse(text).ok().map(|line| Line::of(&line))
    }

    /// The fast reader either gives what the other one gives, or leaves the line to it. Whether it did not.
    fn check(bytes: &[u8], repeated: &mut RepeatedFields) -> Result<bool, TestCaseError> {
        let text = lossy(bytes);
        if let (Some(fast), Cow::Borrowed(text)) = (Data::read(bytes), &text) {
            prop_assert_eq!(Some(fast), Object::parse(text).ok().map(|data| Data::of(&data)));
        }
        let mut fast = Line::default();
        if !fast.read(bytes, repeated) {
            return Ok(false);
        }
        let slow = slowly(&text);
        prop_assert!(slow.is_some(), "only the fast reader understands {}", text);
        let slow = slow.unwrap();
        if matches!(text, Cow::Borrowed(_)) {
            prop_assert_eq!(fast, slow);
        }
        // Bytes that are no UTF-8 are replaced sooner or later: what is read is the same.
        for place in 0..LineField::COUNT {
            prop_assert_eq!(fast.members.text(place), slow.members.text(place));
            prop_assert_eq!(fast.members.count(place), slow.members.count(place));
        }
        prop_assert_eq!(
            fast.message.map(|message| message.text(MessageField::Id)),
            slow.message.map(|message| message.text(MessageField::Id))
        );
        Ok(true)
    }

    #[test]
    fn bytes_that_are_no_utf8_are_read_the_same_in_a_row_that_repeats() {
        let mut repeated = RepeatedFields::default();
        let line = b"{\"cwd\":0,\"cwd\":null,\"cwd\":\"/\x9f\x98\x80\xf0\x9f\x98\x80\"}";
        for _ in 0..3 {
            assert!(check(line, &mut repeated).unwrap());
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        let known: Vec<&str> = vec![
            "type",
            "message",
            "usage",
            "id",
            "model",
            "content",
            "stop_reason",
            "input_tokens",
            "output_tokens",
            "cache_creation",
            "server_tool_use",
            "iterations",
            "sessionId",
            "timestamp",
            "uuid",
            "agentId",
            "toolUseResult",
            "ephemeral_5m_input_tokens",
            "",
            "a\"b",
            "t\\u0079pe",
            "é",
        ];
        prop::sample::select(known).prop_map(str::to_owned)
    }

    fn any_repeated() -> impl Strategy<Value = String> {
        let repeated = vec![
            "isSidechain",
            "agentId",
            "userType",
            "entrypoint",
            "cwd",
            "sessionId",
            "version",
            "gitBranch",
            "slug",
        ];
        prop::sample::select(repeated).prop_map(str::to_owned)
    }

    /// Members as text, with values of which many are short.
    fn some_members(
        names: BoxedStrategy<String>,
        count: std::ops::Range<usize>,
    ) -> impl Strategy<Value = String> {
        let value = prop_oneof![any_json(), (0..30_u8).prop_map(|number| number.to_string())];
        prop::collection::vec((names, value), count).prop_map(|members| {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).unwrap()));
            members.collect::<Vec<_>>().join(",")
        })
    }

    /// JSON as text, so that names repeat, stand in any order and are escaped.
    fn any_json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<i32>().prop_map(|number| number.to_string()),
            Just("1e3".to_owned()),
            "[ -~\\n\"\\\\é😀{}\\[\\]:,]{0,24}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just("\"\\u0074\\ud800\"".to_owned()),
        ];
        scalar.prop_recursive(5, 80, 6, |inner| {
            let space = || prop::sample::select(vec!["", "", " ", "\t\r\n"]);
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..5), space())
                    .prop_map(|(values, space)| format!("[{}]", values.join(&format!("{space},{space}")))),
                (prop::collection::vec((any_name(), inner), 0..8), space()).prop_map(|(members, space)| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(name, value)| {
                            // One of the names holds an escape already.
                            let name = if name.contains("u0079") {
                                format!("\"{name}\"")
                            } else {
                                serde_json::to_string(&name).unwrap()
                            };
                            format!("{space}{name}{space}:{space}{value}{space}")
                        })
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_fast_reader_reads_what_the_other_reads(line in any_json()) {
            let is_fast = check(line.as_bytes(), &mut RepeatedFields::default())?;
            if !line.contains("\\") {
                prop_assert_eq!(is_fast, line.starts_with('{'));
            }
        }

        #[test]
        fn nor_is_there_a_difference_in_broken_lines(
            line in any_json(), next in any_json(), cut in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = line.into_bytes();
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes.extend(next.into_bytes());
            check(&bytes, &mut RepeatedFields::default())?;
            let at = at.index(bytes.len());
            bytes[at] = byte;
            check(&bytes, &mut RepeatedFields::default())?;
        }

        #[test]
        fn nor_where_lines_repeat_a_row_of_members(
            rows in prop::collection::vec(some_members(any_repeated().boxed(), 3..7), 1..3),
            others in prop::collection::vec(some_members(prop_oneof![any_name(), any_repeated()].boxed(), 0..4), 1..3),
            lines in prop::collection::vec(any::<[prop::sample::Index; 3]>(), 2..8),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..6_usize), 8),
        ) {
            let mut repeated = RepeatedFields::default();
            for (of, (at, byte, in_line)) in lines.iter().zip(changes) {
                let parts = [&others[of[0].index(others.len())], &rows[of[1].index(rows.len())], &others[of[2].index(others.len())]];
                let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                let mut line = format!("{{{}}}", parts.join(",")).into_bytes();
                check(&line, &mut repeated)?;
                if in_line == 0 {
                    let at = at.index(line.len());
                    // A neighbour of what stands there: another digit, another letter.
                    line[at] = if byte % 2 == 0 { line[at] ^ 1 } else { byte };
                    check(&line, &mut repeated)?;
                }
            }
        }
    }

    #[test]
    fn only_what_has_no_escapes_is_known_as_it_is_written() {
        let mut line = Line::default();
        assert!(line.read(br#"{"slug":"a-b","version":"a\\b","cwd":7}"#, &mut RepeatedFields::default()));
        assert!(line.is_written(LineField::Slug, "a-b") && !line.is_written(LineField::Slug, "a-"));
        assert!(!line.is_written(LineField::Version, r"a\\b"));
        assert!(!line.is_written(LineField::Cwd, "7") && !line.is_written(LineField::GitBranch, ""));
    }

    #[test]
    fn what_the_lines_of_each_client_repeat_is_taken_as_a_whole() {
        // Clients up to 2.1.72 and more write it first, those from 2.1.227 on last (seen in their transcripts).
        let place = r#""userType":"external","cwd":"/p","sessionId":"s","version":"2.1.0","gitBranch":"main","slug":"a-b""#;
        let first = |uuid: &str| {
            format!(r#"{{"parentUuid":null,"isSidechain":false,{place},"type":"user","uuid":"{uuid}"}}"#)
        };
        let last = |uuid: &str| {
            format!(r#"{{"parentUuid":null,"isSidechain":false,"type":"user","uuid":"{uuid}",{place}}}"#)
        };
        for written in [&first as &dyn Fn(&str) -> String, &last] {
            let mut repeated = RepeatedFields::default();
            for (uuid, taken) in [("1", false), ("2", true), ("3", true)] {
                let text = written(uuid);
                assert!(check(text.as_bytes(), &mut repeated).unwrap());
                assert_eq!(repeated.were_taken(), taken, "{text}");
            }
        }
    }

    /// Fails unless the lines of some files are read alike, and nearly all of them fast.
    fn assert_read_alike_and_fast<T: AsRef<[u8]>>(files: impl IntoIterator<Item = T>) {
        let (mut lines, mut fast) = (0, 0);
        for file in files {
            let mut repeated = RepeatedFields::default();
            for line in file.as_ref().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                lines += 1;
                fast += usize::from(check(line, &mut repeated).unwrap());
            }
        }
        // A handful may be broken.
        assert!(lines > 500 && fast * 100 >= lines * 99, "only {fast} of {lines} lines are read fast");
    }

    fn contents(folder: &Path) -> impl Iterator<Item = Vec<u8>> {
        files_below(folder).into_iter().map(|path| std::fs::read(path).unwrap())
    }

    #[test]
    fn captured_lines_are_read_alike_and_fast() {
        assert_read_alike_and_fast(contents(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude-code"),
        ));
    }

    #[test]
    fn lines_of_clients_of_all_times_are_read_alike_and_fast() {
        let mut files = BTreeMap::new();
        make(&Recipe::small(1), &Prices::list(), &mut files).unwrap();
        assert_read_alike_and_fast(files.into_values());
    }

    #[test]
    #[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
    fn collected_lines_are_read_alike_and_fast() {
        assert_read_alike_and_fast(contents(&collected("corpus")));
    }

    fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                found.extend(files_below(&path));
            } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                found.push(path);
            }
        }
        found
    }
}
