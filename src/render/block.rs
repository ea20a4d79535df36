//! A block of ours in somebody's Markdown file, between two comments that do not show. Pure.

/// The line that the block begins with.
pub const BLOCK_START: &str = "<!-- tallyhook:start -->";
/// The line that it ends with.
pub const BLOCK_END: &str = "<!-- tallyhook:end -->";

/// The text with `body` as its block: in the place of the one that is there, else at the end. Everything outside stays to
/// the letter; lines end as those of the text do.
///
/// # Errors
/// A sentence that says what is wrong, if the two comments do not stand there once each and in their order, or a block of code
/// does not end. Within code they are words.
pub fn with_block(text: &str, body: &str) -> Result<String, String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let block = format!("{BLOCK_START}\n{}\n{BLOCK_END}", body.trim_end()).replace('\n', newline);
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let mut fence = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let place = (at, at + line.trim_end_matches(['\n', '\r']).len());
        at += line.len();
        match (fence, Fence::of(line)) {
            (None, Some(opened)) => fence = Some(opened),
            (Some(opened), Some(found)) if found.closes(opened) => fence = None,
            (None, None) if line.trim() == BLOCK_START => starts.push(place),
            (None, None) if line.trim() == BLOCK_END => ends.push(place),
            _ => {}
        }
    }
    if fence.is_some() {
        return Err("a code block in it is never closed".to_owned());
    }
    match (&starts[..], &ends[..]) {
        ([], []) => {
            let gap = match text {
                "" => "",
                text if text.ends_with(&newline.repeat(2)) => "",
                text if text.ends_with('\n') => newline,
                _ => &newline.repeat(2),
            };
            Ok(format!("{text}{gap}{block}{newline}"))
        }
        ([(start, _)], [(_, end)]) if start < end => {
            Ok(format!("{}{block}{}", &text[..*start], &text[*end..]))
        }
        _ => {
            Err(format!("it must contain {BLOCK_START} and {BLOCK_END} once each, in this order, or neither"))
        }
    }
}

/// A line that begins or ends a block of code: at most three spaces, then at least three of one character.
#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
    /// Whether nothing follows, as in a line that ends a block.
    is_bare: bool,
}

impl Fence {
    fn of(line: &str) -> Option<Self> {
        let rest = line.trim_start_matches(' ');
        let mark = rest.chars().next().filter(|mark| ['`', '~'].contains(mark))?;
        let info = rest.trim_start_matches(mark);
        let length = rest.len() - info.len();
        // A backtick after it makes it code within a line.
        let is_fence = line.len() - rest.len() <= 3 && length >= 3 && !(mark == '`' && info.contains('`'));
        is_fence.then_some(Self { mark, length, is_bare: info.trim().is_empty() })
    }

    fn closes(self, opened: Self) -> bool {
        self.is_bare && self.mark == opened.mark && self.length >= opened.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_is_added_once_and_then_replaced_in_its_place() {
        let once = with_block("# Notes\n", "a\n").unwrap();
        assert_eq!(once, "# Notes\n\n<!-- tallyhook:start -->\na\n<!-- tallyhook:end -->\n");
        let more = format!("{once}\nafter, no newline");
        let twice = with_block(&more, "b\nc").unwrap();
        assert_eq!(twice, more.replace("\na\n", "\nb\nc\n"));
        assert_eq!(with_block(&twice, "b\nc").unwrap(), twice);
        assert_eq!(with_block("x\r\n", "a").unwrap().matches("\r\n").count(), 5);
    }

    #[test]
    fn comments_that_do_not_fit_are_left_alone() {
        let (start, end) = (BLOCK_START, BLOCK_END);
        for text in
            [format!("{start}\n"), format!("{end}\n{start}\n"), format!("{start}\n{end}\n{start}\n{end}\n")]
        {
            assert!(with_block(&text, "x").is_err(), "{text}");
        }
        // In a sentence they are words.
        assert!(with_block(&format!("write {start} there"), "x").unwrap().starts_with("write"));
    }

    #[test]
    fn comments_within_code_are_words() {
        let text =
            format!("~~~~ md\n{BLOCK_START}\n~~~\n```\n{BLOCK_END}\n~~~~\n   ```x\n{BLOCK_START}\n```\n");
        let once = with_block(&text, "a").unwrap();
        assert_eq!(once, format!("{text}\n{BLOCK_START}\na\n{BLOCK_END}\n"));
        assert_eq!(with_block(&once, "b").unwrap(), once.replace("\na\n", "\nb\n"));
        // Nothing can be added behind code that does not end, and `x``y` is none.
        assert!(with_block(&format!("```\n{BLOCK_START}\n"), "a").is_err());
        assert!(with_block("``` not ` a fence\n", "a").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_outside_stays(before in "[a-z# \r\n<!]{0,30}", after in "[a-z# \n]{0,30}") {
            let text = format!("{before}\n{BLOCK_START}\nold\n{BLOCK_END}\n{after}");
            let new = with_block(&text, "new").unwrap();
            let before = format!("{before}\n");
            let after = format!("\n{after}");
            prop_assert!(new.starts_with(&before) && new.ends_with(&after));
        }
    }
}
