//! Templates of the status line: `{field}` is a figure, `[…]` a part that is left out where a field in it is empty.
//!
//! A backslash takes the meaning from the character after it. A field that does not exist is shown as it is written, so
//! that a mistake is seen.

/// Groups deeper than this are text.
const MAX_DEPTH: usize = 8;

/// A part under way: its text, and whether a field in it is empty.
#[derive(Default)]
struct TemplatePart {
    text: String,
    lacks_field: bool,
}

/// The line that a template makes of its fields; `None` for a field that does not exist.
pub(super) fn fill(template: &str, field: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = vec![TemplatePart::default()];
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        let depth = parts.len();
        let Some(part) = parts.last_mut() else { break };
        match c {
            '\\' => part.text.extend(rest.next()),
            '[' if depth <= MAX_DEPTH => parts.push(TemplatePart::default()),
            ']' if depth > 1 => {
                let done = parts.pop().unwrap_or_default();
                if let Some(outer) = parts.last_mut()
                    && !done.lacks_field
                {
                    outer.text.push_str(&done.text);
                }
            }
            '{' => {
                let text = rest.as_str();
                let Some((name, after)) = text.split_once('}').filter(|(name, _)| is_name(name)) else {
                    part.text.push(c);
                    continue;
                };
                match field(name) {
                    Some(value) => {
                        part.lacks_field |= value.is_empty();
                        part.text.push_str(&value);
                    }
                    None => part.text.push_str(&text[..=name.len()].replacen(name, &format!("{{{name}"), 1)),
                }
                rest = after.chars();
            }
            c => part.text.push(c),
        }
    }
    // A group that is not closed ends with the template.
    while let Some(done) = parts.pop() {
        match parts.last_mut() {
            Some(outer) if !done.lacks_field => outer.text.push_str(&done.text),
            Some(_) => {}
            None => return done.text,
        }
    }
    String::new()
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str) -> String {
        fill(template, |name| match name {
            "cost" => Some("$1".to_owned()),
            "none" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn parts_with_an_empty_field_are_left_out() {
        assert_eq!(filled("{cost}[ · {none}]!"), "$1!");
        assert_eq!(filled("[a {cost}[ b {none}]] c"), "a $1 c");
        assert_eq!(filled("[a {none}[ b {cost}]]c"), "c");
        assert_eq!(filled("{none}{cost}"), "$1");
    }

    #[test]
    fn what_is_no_field_is_text() {
        assert_eq!(filled("{oops} {Cost} {} {cost"), "{oops} {Cost} {} {cost");
        assert_eq!(filled(r"\{cost\} \[x\] \\"), r"{cost} [x] \");
        assert_eq!(filled("a]b[c"), "a]bc");
    }

    proptest! {
        #[test]
        fn no_template_is_a_fault(template in "[\\[\\]{}\\\\a-z$é ]{0,40}") {
            let _line = filled(&template);
        }
    }
}
