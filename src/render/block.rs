//! A block of ours in somebody's Markdown file, between two comments that do not show. Pure.

/// The line that the block begins with.
pub const BLOCK_START: &str = "<!-- tallyhook:start -->";
/// The line that it ends with.
pub const BLOCK_END: &str = "<!-- tallyhook:end -->";

/// The text with `body` as its block: in the place of the one that is there, else at the end. Everything outside stays to
/// the letter; lines end as those of the text do.
///
/// # Errors
/// A sentence that says what is wrong, if the two comments do not stand there once each and in their order.
pub fn with_block(text: &str, body: &str) -> Result<String, String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let block = format!("{BLOCK_START}\n{}\n{BLOCK_END}", body.trim_end()).replace('\n', newline);
    let find = |marker: &str| {
        let mut found = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if line.trim() == marker {
                found.push((at, at + line.trim_end_matches(['\n', '\r']).len()));
            }
            at += line.len();
        }
        found
    };
    match (&find(BLOCK_START)[..], &find(BLOCK_END)[..]) {
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
        _ => Err(format!("it must hold {BLOCK_START} and {BLOCK_END} once each, in this order, or neither")),
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
