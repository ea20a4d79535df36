//! Reading a payload from stdin, without what nobody asks for.
//!
//! An Edit of a file of several megabytes carries the whole file (`originalFile`), of which no byte is used: the model
//! reads one sentence. Holding it costs more than all the rest of the hook, for each page of memory that is touched
//! the first time has to be made. So of a long payload that string is passed over while it is read.
//!
//! What no client sends, a payload of more than 16 MB, is held to that: from there on the rest of each string is passed over.
//! Its event is kept all the same.

use std::io;

use crate::json::{Extent, find, open_string};
use crate::stdin::{Arriving, USUAL_BYTES};

/// More than any payload has. From there on the rest of each string is passed over, whatever it is.
const HELD_BYTES: usize = 16 << 20;
/// What is held beyond that, in bytes, of brackets, numbers and short strings. The rest of a larger input is not read.
const MAX_BYTES: usize = 20 << 20;
/// How much is passed over at most, in bytes. The rest is not read.
const MAX_PASSED_BYTES: u64 = 256 << 20;
/// From this size on it is looked at what comes.
const LONG_BYTES: usize = 128 << 10;
/// The tools whose answers carry whole files.
const TOOLS: [&str; 4] = ["Edit", "Write", "MultiEdit", "NotebookEdit"];

/// A payload.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Its text, in which a long `originalFile` is empty, and of 16 MB and more each string cut short.
    pub(super) text: Vec<u8>,
    /// How many bytes of the tool's response were passed over.
    pub(super) left_out: u64,
    /// Whether stdin was still open when the wait for the rest was over.
    pub(super) timed_out: bool,
    /// Why the rest could not be read, if that is the reason.
    pub(super) fault: Option<io::Error>,
}

impl Intake {
    /// Reads to the closing bracket, or to the end of the input. What could be read is used, even if the rest could not.
    pub(super) fn read(mut input: impl Arriving) -> Self {
        let mut intake =
            Self { text: Vec::with_capacity(USUAL_BYTES), left_out: 0, timed_out: false, fault: None };
        if let Err(error) = intake.read_from(&mut input) {
            intake.timed_out = error.kind() == io::ErrorKind::TimedOut;
            intake.fault = Some(error).filter(|_| !intake.timed_out);
        }
        intake
    }

    fn read_from(&mut self, input: &mut impl Arriving) -> io::Result<()> {
        let mut extent = Extent::default();
        let mut look_at = LONG_BYTES;
        let mut followed = 0;
        while self.text.len() < MAX_BYTES && input.append(&mut self.text)? > 0 {
            if let Some(end) = extent.follow(&self.text[followed..]) {
                self.text.truncate(followed + end);
                return Ok(());
            }
            followed = self.text.len();
            let start;
            if let Some(escaped) = extent.open_string().filter(|_| followed >= HELD_BYTES) {
                start = whole_characters(&self.text);
                self.left_out += (followed - start) as u64;
                self.text.truncate(start);
                self.pass_over(Vec::new(), escaped, input)?;
            } else if followed >= look_at {
                look_at *= 2;
                match self.unused_string() {
                    Some(unused) => start = unused,
                    None => continue,
                }
                self.left_out += (followed - start) as u64;
                let begun = self.text.split_off(start);
                self.pass_over(begun, false, input)?;
                // There is but one.
                look_at = usize::MAX;
            } else {
                continue;
            }
            extent.at_closing_quote();
            if let Some(end) = extent.follow(&self.text[start..]) {
                self.text.truncate(start + end);
                return Ok(());
            }
            followed = self.text.len();
        }
        Ok(())
    }

    /// Where the contents of `originalFile` start, if what was read ends within them.
    fn unused_string(&self) -> Option<usize> {
        let (start, tool) = open_string(&self.text, ["tool_response", "originalFile"], "tool_name")?;
        // Without the input the estimate has nothing to go by but the file's size.
        let input = b"\"tool_input\"";
        let has_input = self.text[..start].windows(input.len()).any(|found| found == input);
        (has_input && TOOLS.contains(&tool)).then_some(start)
    }

    /// Reads on to the string's closing quote and keeps that and what was read after it. `chunk` is what was read of the
    /// string so far, `escaped` whether a backslash stands before it.
    fn pass_over(
        &mut self,
        mut chunk: Vec<u8>,
        mut escaped: bool,
        input: &mut impl Arriving,
    ) -> io::Result<()> {
        loop {
            if let Some(quote) = closing_quote(&chunk, &mut escaped) {
                self.left_out -= (chunk.len() - quote) as u64;
                // Exactly: one read fills all the room that there is.
                self.text.reserve_exact(chunk.len() - quote);
                self.text.extend_from_slice(&chunk[quote..]);
                return Ok(());
            }
            chunk.clear();
            if self.left_out > MAX_PASSED_BYTES || input.append(&mut chunk)? == 0 {
                return Ok(());
            }
            self.left_out += chunk.len() as u64;
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
        assert_eq!(intake.left_out as usize, payload.len() - edit("Edit", "").len());
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
            assert_eq!((intake.text.len(), intake.left_out), (payload.len(), 0));
        }
    }

    #[test]
    fn of_what_no_client_sends_each_string_is_cut_short_and_the_event_kept() {
        for filler in ["x", "\u{1}", "\"🎉"] {
            let escaped = serde_json::Value::from(filler).to_string().len() - 2;
            let long = filler.repeat((HELD_BYTES / 2 + 300_001) / escaped);
            let payload =
                serde_json::json!({"tool_name": "Read", "a_tool_response": [long, long], "tool_use_id": "t"});
            let payload = payload.to_string();
            let intake = Intake::read(payload.as_bytes());
            assert!(intake.text.len() < HELD_BYTES + MARGIN, "{filler:?}: {}", intake.text.len());
            assert_eq!(intake.left_out as usize, payload.len() - intake.text.len());
            let read: serde_json::Value = serde_json::from_slice(&intake.text).unwrap();
            assert_eq!(read["tool_use_id"], "t");
            let first = read["a_tool_response"][0].as_str().unwrap();
            assert!(long.starts_with(first) && first.len() > 1 << 20, "{filler:?}");
        }
    }

    #[test]
    fn what_never_gets_whole_is_not_held() {
        let endless = format!("[{}", "1,".repeat(MAX_BYTES));
        assert!(Intake::read(endless.as_bytes()).text.len() < MAX_BYTES + MARGIN);
        let endless = [b"{\"a\":\"" as &[u8], &vec![0xff; 2 * MAX_BYTES]].concat();
        assert!(Intake::read(&*endless).text.len() < HELD_BYTES + MARGIN);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn wherever_the_reads_end_the_rest_is_the_same(step in 1_usize..5_000, seed in "[\\\\\"a\n]{1,40}") {
            let payload = edit("Write", &seed.repeat(300_000 / seed.len()));
            let intake = Intake::read(Drops(payload.as_bytes(), step));
            prop_assert_eq!(String::from_utf8(intake.text).unwrap(), edit("Write", ""));
        }
    }
}
