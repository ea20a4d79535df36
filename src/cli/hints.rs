//! What clap's errors say: what may have been meant by a word that the command line has no place for (`cost today` means
//! `cost --since today`), and no more of a long text than tells which it is.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Error, ValueEnum as _};

use super::args::CostBy;
use crate::calendar::AskedDay;
use crate::domain::amount;

/// The error with a tip for each command that may have been meant. `args` is what the program was started with.
pub(super) fn with_tips(mut error: Error, args: &[String]) -> Error {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return error };
    // Options that take a value stand behind the command as a rule; one before it costs the tip.
    let command = args.iter().find(|arg| !arg.starts_with('-')).map(String::as_str);
    let meant = meant(command.filter(|command| command != word), word);
    if meant.is_empty() {
        return error;
    }
    let mut tips = match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(known)) => known.clone(),
        _ => Vec::new(),
    };
    tips.extend(
        meant.iter().map(|command| StyledStr::from(format!("you may have meant 'tallyhook {command}'"))),
    );
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

/// Longest text of the user's that an error repeats, in characters; a cursor or a path that is nearly right is known by that.
const REPEATED: usize = 40;

/// The error without the rest of a long text that it repeats, such as a file's content in place of a cursor.
pub(super) fn shortened(mut error: Error) -> Error {
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && let Some((end, _)) = text.char_indices().nth(REPEATED)
        {
            let short = format!("{}…", &text[..end]);
            error.insert(kind, ContextValue::String(short));
        }
    }
    error
}

/// The commands that may have been meant by `word` behind `command`, or in its place.
fn meant(command: Option<&str>, word: &str) -> Vec<String> {
    if word.starts_with('-') {
        return Vec::new();
    }
    let in_days = |command: &str| {
        let asked = AskedDay::parse(word);
        asked.map(|asked| match asked.is_open() {
            true => format!("{command} --since {word}"),
            false => format!("{command} --since {word} --until {word}"),
        })
    };
    let by = |command: &str| CostBy::from_str(word, true).ok().map(|_| format!("{command} --by {word}"));
    let days = word.strip_suffix('d').unwrap_or(word);
    let days = || amount::count(days, 1_u16, 3_660).ok().map(|days| format!("trends --days {days}"));
    let found = match command {
        None => vec![in_days("cost")],
        Some("cost") => vec![in_days("cost"), by("cost")],
        Some("tools") => vec![in_days("tools")],
        Some("trends") => vec![days()],
        Some("history" | "sessions") => {
            vec![amount::count(word, 1_u32, 9_999).ok().map(|rows| format!("history --limit {rows}"))]
        }
        Some("budget") => vec![amount::usd(word).ok().map(|_| format!("budget set {word}"))],
        Some("show-usage" | "usage") => vec![Some(format!("show-usage --session {word}"))],
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_without_a_place_leads_to_the_option_that_has_one() {
        for (command, word, expected) in [
            (Some("cost"), "today", &["cost --since today"][..]),
            (Some("cost"), "yesterday", &["cost --since yesterday --until yesterday"]),
            (Some("cost"), "week", &["cost --since week", "cost --by week"]),
            (Some("cost"), "2026-11-01", &["cost --since 2026-11-01 --until 2026-11-01"]),
            (Some("cost"), "model", &["cost --by model"]),
            (Some("tools"), "7d", &["tools --since 7d"]),
            (Some("trends"), "30d", &["trends --days 30"]),
            (Some("history"), "5", &["history --limit 5"]),
            (Some("budget"), "5", &["budget set 5"]),
            (Some("show-usage"), "8efa9846", &["show-usage --session 8efa9846"]),
            (None, "today", &["cost --since today"]),
            (None, "cots", &[]),
            (Some("cost"), "--today", &[]),
            (Some("export"), "today", &[]),
        ] {
            assert_eq!(meant(command, word), expected, "{command:?} {word}");
        }
    }
}
