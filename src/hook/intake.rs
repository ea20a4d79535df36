//! Reading a payload from stdin, without what nobody asks for.
//!
//! An Edit of a file of several megabytes carries the whole file (`originalFile`), of which no byte is used: the model
//! reads one sentence. Holding it costs more than all the rest of the hook, for each page of memory that is touched
//! the first time has to be made. So of a long payload that string is passed over while it is read.
//!
//! A payload of more than 8 MB is held to about that: from there on the rest of each string is passed over, and then each value
//! with brackets in the event. It is read to its end all the same, so that whoever writes it is not cut off, and its event is
//! kept. Only of strings in base64, such as images and PDFs, 8 MB more are held: of an image the first bytes are decoded, and a
//! PDF is decoded once.

use std::io;

use crate::domain::Tool;
use crate::json::{ValueExtent, find, open_string};
use crate::stdin::{Arriving, USUAL_BYTES};

/// A megabyte; in the tests of this file a quarter of one, which takes a quarter of the time and the same ways.
const MB: usize = if cfg!(test) { 1 << 18 } else { 1 << 20 };
/// From there on, in bytes, the rest of each string is passed over that is not base64.
const HELD_BYTES: usize = 8 * MB;
/// What is held at most, in bytes. From there on a value with brackets of its own counts as `null`.
const MAX_BYTES: usize = 9 * MB;
/// What is held at most, in bytes, where no value with brackets of its own is open.
const MOST_BYTES: usize = 10 * MB;
/// By so much base64, in bytes, all of these can be exceeded: an image of 12 MB is held whole, and most PDFs are.
const FILE_BYTES: usize = 8 * MB;
/// From this size on it is looked at what comes.
const LONG_BYTES: usize = 128 << 10;
/// What stands in the place of a value that was left out.
const NULL: &[u8] = b"null";

/// A payload.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Its text, in which a long `originalFile` is empty, and which is cut if it is longer than what is held.
    pub(super) text: Vec<u8>,
    /// Whether it is cut: a string was, or a value is `null` in its place.
    pub(super) is_cut: bool,
    /// What was passed over.
    pub(super) left_out: LeftOutBytes,
    /// Whether most of it was passed over, for it can be no event.
    pub(super) is_given_up: bool,
    /// Whether its end had not come when the time for it was over.
    pub(super) timed_out: bool,
    /// Why the rest could not be read, if that is the reason.
    pub(super) fault: Option<io::Error>,
}

/// A part of a payload that was read and not kept.
struct Passed {
    /// Its bytes, also if the rest could not be read.
    left_out: u64,
    result: io::Result<()>,
}

/// How many bytes of a payload were passed over, by the member of the event in which they stood.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeftOutBytes {
    /// In `tool_input`.
    pub(super) input: u64,
    /// In `tool_response`, or in `error`.
    pub(super) response: u64,
    /// In any other.
    pub(super) others: u64,
    /// Bytes among those of the three members that are used for nothing (`originalFile`).
    pub(super) unused: u64,
}

impl LeftOutBytes {
    /// What would have been used.
    pub(super) fn missing(self) -> u64 {
        self.input + self.response + self.others - self.unused
    }

    /// The count for the member with the value that begins at `value` in `text`.
    fn of_member(&mut self, text: &[u8], value: usize) -> &mut u64 {
        let name = text[..value].trim_ascii_end().strip_suffix(b":").unwrap_or_default().trim_ascii_end();
        if name.ends_with(b"\"tool_input\"") {
            &mut self.input
        } else if name.ends_with(b"\"tool_response\"") || name.ends_with(b"\"error\"") {
            &mut self.response
        } else {
            &mut self.others
        }
    }
}

impl Intake {
    /// Reads to the closing bracket, or to the end of the input. What could be read is used, even if the rest could not.
    pub(super) fn read(mut input: impl Arriving) -> Self {
        let mut intake = Self { text: Vec::with_capacity(USUAL_BYTES), ..Self::default() };
        if let Err(error) = intake.read_from(&mut input) {
            intake.timed_out = error.kind() == io::ErrorKind::TimedOut;
            intake.fault = Some(error).filter(|_| !intake.timed_out);
        }
        intake
    }

    fn read_from(&mut self, input: &mut impl Arriving) -> io::Result<()> {
        let mut extent = ValueExtent::default();
        let mut look_at = LONG_BYTES;
        let mut followed = 0;
        // Where the last value of the event begins that is a string or has brackets of its own.
        let mut inner = 0;
        // How much base64 is held beyond all limits, and up to where the open string was seen to be such.
        let mut extra = 0;
        let mut checked = None;
        // Where the last string of these begins.
        let mut base64_at = 0;
        while input.append(&mut self.text)? > 0 {
            if let Some(end) = extent.follow(&self.text[followed..]) {
                self.text.truncate(followed + end);
                return Ok(());
            }
            inner = extent.take_inner().map_or(inner, |at| followed + at);
            followed = self.text.len();
            let start;
            if followed >= look_at && followed < HELD_BYTES {
                look_at *= 2;
                match self.unused_string() {
                    Some(unused) => start = unused,
                    None => continue,
                }
                let begun = self.text.split_off(start);
                let read = self.pass_over(begun, false, input);
                self.left_out.response += read.left_out;
                self.left_out.unused += read.left_out;
                read.result?;
                // There is but one.
                look_at = usize::MAX;
                extent.at_closing_quote();
            } else if followed < HELD_BYTES + extra {
                continue;
            } else if let Some(escaped) = extent.open_string().filter(|_| followed < MAX_BYTES + extra) {
                if followed < HELD_BYTES + FILE_BYTES && self.ends_in_base64(checked) {
                    if checked.is_none() {
                        base64_at = memchr::memrchr(b'"', &self.text).unwrap_or(0);
                    }
                    checked = Some(followed);
                    extra = followed - HELD_BYTES + 1;
                    continue;
                }
                self.is_cut = true;
                start = whole_characters(&self.text);
                self.text.truncate(start);
                checked = None;
                let read = self.pass_over(Vec::new(), escaped, input);
                *self.left_out.of_member(&self.text, inner) += (followed - start) as u64 + read.left_out;
                read.result?;
                extent.at_closing_quote();
            } else if followed < MAX_BYTES + extra {
                continue;
            } else if extent.depth() > 1 {
                self.is_cut = true;
                checked = None;
                if inner <= base64_at {
                    extra = 0;
                }
                let read = self.leave_out(inner, &mut extent, input);
                *self.left_out.of_member(&self.text, inner) += read.left_out;
                read.result?;
                start = inner + NULL.len();
            } else if followed < MOST_BYTES + extra {
                continue;
            } else {
                return self.give_up(&mut extent, input);
            }
            if let Some(end) = extent.follow(&self.text[start..]) {
                self.text.truncate(start + end);
                return Ok(());
            }
            inner = extent.take_inner().map_or(inner, |at| start + at);
            followed = self.text.len();
        }
        Ok(())
    }

    /// Puts `null` into the place of the value that begins at `start`, reads on to its end and keeps what was read after it.
    fn leave_out(&mut self, start: usize, extent: &mut ValueExtent, input: &mut impl Arriving) -> Passed {
        let mut left_out = (self.text.len() - start) as u64;
        self.text.truncate(start);
        self.text.extend_from_slice(NULL);
        let mut chunk = Vec::new();
        loop {
            match input.append(&mut chunk) {
                Ok(0) => return Passed { left_out, result: Ok(()) },
                Ok(_) => {}
                Err(fault) => return Passed { left_out, result: Err(fault) },
            }
            let end = extent.follow_out_to(1, &chunk);
            left_out += end.unwrap_or(chunk.len()) as u64;
            if let Some(end) = end {
                self.text.reserve_exact(chunk.len() - end);
                self.text.extend_from_slice(&chunk[end..]);
                return Passed { left_out, result: Ok(()) };
            }
            chunk.clear();
        }
    }

    /// Reads on to the end of what can be no event: a megabyte beyond all that is held, without a value that could be left
    /// out. Enough is kept to say what is wrong with it.
    fn give_up(&mut self, extent: &mut ValueExtent, input: &mut impl Arriving) -> io::Result<()> {
        self.is_given_up = true;
        self.text.truncate(USUAL_BYTES);
        self.text.shrink_to_fit();
        let mut chunk = Vec::new();
        while input.append(&mut chunk)? > 0 && extent.follow(&chunk).is_none() {
            chunk.clear();
        }
        Ok(())
    }

    /// Whether all that was read of the string that is open is base64. Up to `checked` it is.
    fn ends_in_base64(&self, checked: Option<usize>) -> bool {
        let is_base64 = |text: &[u8]| {
            text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
        };
        if checked.is_some_and(|checked| is_base64(&self.text[checked..])) {
            return true;
        }
        let Some(quote) = memchr::memrchr(b'"', &self.text) else { return false };
        !self.text[..quote].ends_with(b"\\") && is_base64(&self.text[quote + 1..])
    }

    /// Where the contents of `originalFile` start, if what was read ends within them.
    fn unused_string(&self) -> Option<usize> {
        let (start, tool) = open_string(&self.text, ["tool_response", "originalFile"], "tool_name")?;
        // Without the input the estimate has nothing to go by but the file's size.
        let input = b"\"tool_input\"";
        let has_input = self.text[..start].windows(input.len()).any(|found| found == input);
        (has_input && Tool::named(tool).is_some_and(|tool| tool.edits_files)).then_some(start)
    }

    /// Reads on to the string's closing quote and keeps that and what was read after it. `chunk` is what was read of the
    /// string so far, `escaped` whether a backslash stands before it.
    fn pass_over(&mut self, mut chunk: Vec<u8>, mut escaped: bool, input: &mut impl Arriving) -> Passed {
        let mut left_out = 0;
        loop {
            if let Some(quote) = closing_quote(&chunk, &mut escaped) {
                // Exactly: one read fills all the room that there is.
                self.text.reserve_exact(chunk.len() - quote);
                self.text.extend_from_slice(&chunk[quote..]);
                return Passed { left_out: left_out + quote as u64, result: Ok(()) };
            }
            left_out += chunk.len() as u64;
            chunk.clear();
            match input.append(&mut chunk) {
                Ok(0) => return Passed { left_out, result: Ok(()) },
                Ok(_) => {}
                Err(fault) => return Passed { left_out, result: Err(fault) },
            }
        }
    }
}

/// Up to where the text of an open string can be cut so that neither an escape nor a character is cut in two.
fn whole_characters(text: &[u8]) -> usize {
    // An escape has at most 6 bytes. Of several backslashes in a row each second one is text.
    let tail = &text[text.len().saturating_sub(6)..];
    if let Some(at) = tail.iter().rposition(|byte| *byte == b'\\') {
        let start = text.len() - tail.len() + at;
        let before = text[..start].iter().rev().take_while(|byte| **byte == b'\\').count();
        let length = if tail.get(at + 1) == Some(&b'u') { 6 } else { 2 };
        if before % 2 == 0 && start + length > text.len() {
            return start;
        }
    }
    // The bytes of a character after its first begin with the bits 10.
    let last = text.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    if text.get(last).is_some_and(|byte| *byte >= 0xc0) { last } else { text.len() }
}

/// Where the quote is that ends the string; `escaped` tells whether the first byte follows a backslash, and is left
/// so for the next chunk.
fn closing_quote(chunk: &[u8], escaped: &mut bool) -> Option<usize> {
    let mut at = usize::from(std::mem::take(escaped));
    while let Some(found) = find::either(chunk, at, b'"', b'\\') {
        at = found;
        if chunk[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
    *escaped = at > chunk.len();
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What one read can bring.
    const MARGIN: usize = 3 << 20;

    /// Gives a few bytes at a time, as a pipe does, and then stays open.
    struct Drops<'a>(&'a [u8], usize);

    impl Arriving for Drops<'_> {
        fn append(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let (now, later) = self.0.split_at(self.1.min(self.0.len()));
            text.extend_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    fn edit(tool: &str, file: &str) -> String {
        serde_json::json!({"tool_name": tool, "tool_input": {"old_string": "a\"b"},
            "tool_response": {"newString": "\\", "originalFile": file, "structuredPatch": []}, "tool_use_id": "t"})
        .to_string()
    }

    #[test]
    fn a_long_original_is_left_out_and_counted() {
        let file = "let x = \"\\\\\";\n".repeat(40_000);
        let payload = edit("Edit", &file);
        let intake = Intake::read(Drops(payload.as_bytes(), 70_001));
        assert_eq!(String::from_utf8(intake.text).unwrap(), edit("Edit", ""));
        let left_out = (payload.len() - edit("Edit", "").len()) as u64;
        assert_eq!(
            intake.left_out,
            LeftOutBytes { response: left_out, unused: left_out, ..LeftOutBytes::default() }
        );
    }

    #[test]
    fn other_payloads_stay_as_they_are() {
        let long = "x".repeat(600_000);
        for payload in [
            edit("Edit", "short"),
            edit("mcp__files__edit", &long),
            serde_json::json!({"tool_name": "Edit", "tool_response": {"content": long, "originalFile": "x"}})
                .to_string(),
            serde_json::json!({"tool_name": "Edit", "tool_input": {"originalFile": long}}).to_string(),
            serde_json::json!({"tool_name": "Edit", "tool_response": {"originalFile": long}}).to_string(),
            format!("{{\"tool_name\":\"Edit\",{long}"),
        ] {
            let intake = Intake::read(payload.as_bytes());
            assert_eq!((intake.text.len(), intake.left_out), (payload.len(), LeftOutBytes::default()));
        }
    }

    #[test]
    fn of_what_is_too_long_each_string_is_cut_short_and_the_event_kept() {
        for filler in ["x", "\u{1}", "\"🎉"] {
            let escaped = serde_json::Value::from(filler).to_string().len() - 2;
            let long = filler.repeat((HELD_BYTES / 2 + 100_001) / escaped);
            let payload =
                serde_json::json!({"tool_name": "Read", "a_tool_response": [long, long], "tool_use_id": "t"});
            let payload = payload.to_string();
            let intake = Intake::read(payload.as_bytes());
            assert!(intake.text.len() < HELD_BYTES + MARGIN, "{filler:?}: {}", intake.text.len());
            assert_eq!(intake.left_out.others as usize, payload.len() - intake.text.len());
            let read: serde_json::Value = serde_json::from_slice(&intake.text).unwrap();
            assert_eq!(read["tool_use_id"], "t");
            let first = read["a_tool_response"][0].as_str().unwrap();
            assert!(long.starts_with(first) && first.len() > HELD_BYTES / 16, "{filler:?}");
        }
    }

    #[test]
    fn what_is_cut_is_counted_for_the_member_in_which_it_stood() {
        let long = "x y".repeat(HELD_BYTES / 3 + 5_000);
        for (name, shape) in [
            ("tool_input", serde_json::json!({"file_path": "a", "content": long})),
            ("tool_response", serde_json::json!(["a", {"text": long, "more": [1]}])),
            ("tool_response", serde_json::json!(long)),
            ("error", serde_json::json!(long)),
            ("prompt", serde_json::json!(long)),
        ] {
            let other = if name == "tool_input" { "tool_response" } else { "tool_input" };
            let payload =
                format!("{{\"tool_name\":\"Write\",\"{name}\" :\n{shape},\"{other}\":{{\"a\":\"b\"}}}}");
            let intake = Intake::read(Drops(payload.as_bytes(), 60_000));
            let cut = (payload.len() - intake.text.len()) as u64;
            assert!(cut > 0 && intake.left_out.missing() == cut, "{name}");
            let LeftOutBytes { input, response, others, .. } = intake.left_out;
            let counted = match name {
                "tool_input" => input,
                "prompt" => others,
                _ => response,
            };
            assert_eq!(counted, cut, "{name}");
        }
    }

    #[test]
    fn of_base64_more_is_held_and_what_follows_it_is_read() {
        let payload = |length: usize| {
            let file = "iVBO/+==".repeat(length / 8);
            format!(
                "{{\"tool_name\":\"Read\",\"tool_response\":{{\"base64\":\"{file}\",\"more\":[{{\"a\":[1]}}]}},\"x\":2}}"
            )
        };
        let whole = payload(HELD_BYTES + FILE_BYTES - MB);
        for step in [60_000, MB] {
            let intake = Intake::read(Drops(whole.as_bytes(), step));
            assert!(!intake.is_cut && intake.text == whole.as_bytes(), "{step}");
            let cut = Intake::read(Drops(payload(HELD_BYTES + FILE_BYTES + 5 * MB).as_bytes(), step));
            assert!(
                cut.left_out.response as usize >= 4 * MB
                    && cut.text.ends_with(b"\"more\":[{\"a\":[1]}]},\"x\":2}")
            );
        }
        // A text that goes on with it is none.
        let text = format!("{{\"a\":\"\\\"{}", "x".repeat(HELD_BYTES + 2 * MB));
        assert!(Intake::read(Drops(text.as_bytes(), 60_000)).is_cut);
    }

    #[test]
    fn beyond_that_values_with_brackets_are_left_out_and_what_follows_is_read() {
        let numbers = format!("[{}1]", "1,".repeat(MAX_BYTES / 8 * 5));
        let deep = format!("{{\"a\":{}{}}}", "[{\"b\":".repeat(MAX_BYTES / 5), "1}]".repeat(MAX_BYTES / 5));
        let before = "{\"tool_name\":\"X\",\"tool_input\":{\"a\":[1]}";
        let payload = format!("{before},\"tool_response\":{numbers},\"b\":{deep},\"tool_use_id\":\"t\"}}");
        let short = format!("{before},\"tool_response\":null,\"b\":null,\"tool_use_id\":\"t\"}}");
        for step in [70_001, 3 * MB] {
            let intake = Intake::read(Drops(payload.as_bytes(), step));
            assert!(intake.is_cut && intake.text == short.as_bytes(), "{step}");
            let (response, others) = (numbers.len() as u64, deep.len() as u64);
            assert_eq!(intake.left_out, LeftOutBytes { response, others, ..LeftOutBytes::default() });
        }
        // What goes on without a value that could be left out is no event.
        let members = format!("{{\"a\":1{}}}", ",\"a\":1".repeat(MOST_BYTES / 4));
        assert_eq!(Intake::read(members.as_bytes()).text.len(), USUAL_BYTES);
    }

    #[test]
    fn what_is_left_out_beside_base64_that_is_held_costs_no_event() {
        let file = "iVBO/+==".repeat((HELD_BYTES + FILE_BYTES / 2) / 8);
        let numbers = format!("[{}1]", "1,".repeat(2 * MB));
        let end = ",\"tool_use_id\":\"t\",\"more\":{\"a\":[1]}}";
        let payload = format!("{{\"tool_input\":{{\"data\":\"{file}\"}},\"tool_response\":{numbers}{end}");
        for step in [10_000, 60_000] {
            let intake = Intake::read(Drops(payload.as_bytes(), step));
            assert!(!intake.is_given_up && intake.text.ends_with(end.as_bytes()), "{step}");
            assert!(intake.text.len() > file.len());
        }
    }

    #[test]
    fn what_never_gets_whole_is_not_held() {
        let endless = format!("[{}", "1,".repeat(MAX_BYTES));
        assert!(Intake::read(endless.as_bytes()).text.len() < MAX_BYTES + MARGIN);
        let endless = [b"{\"a\":\"" as &[u8], &vec![0xff; 2 * MAX_BYTES]].concat();
        assert!(Intake::read(&*endless).text.len() < HELD_BYTES + MARGIN);
    }

    #[test]
    fn what_was_passed_over_before_a_fault_is_counted() {
        let numbers = format!("[{}1]", "1,".repeat(MAX_BYTES));
        for payload in [
            edit("Edit", &"x".repeat(700_000)),
            format!("{{\"tool_response\":\"{}\"}}", "x y".repeat(HELD_BYTES)),
            format!("{{\"tool_response\":{numbers}}}"),
        ] {
            // The read after these bytes fails.
            let read = &payload.as_bytes()[..payload.len() - 100];
            let intake = Intake::read(Drops(read, 50_000));
            assert!(intake.timed_out);
            let kept = intake.text.len() - if intake.text.ends_with(NULL) { NULL.len() } else { 0 };
            assert_eq!(intake.left_out.response as usize, read.len() - kept);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn wherever_the_reads_end_the_rest_is_the_same(step in 1_usize..5_000, seed in "[\\\\\"a\n]{1,40}") {
            let payload = edit("Write", &seed.repeat(300_000 / seed.len()));
            let intake = Intake::read(Drops(payload.as_bytes(), step));
            prop_assert_eq!(String::from_utf8(intake.text).unwrap(), edit("Write", ""));
        }
    }
}
