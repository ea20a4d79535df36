//! Reads what people paste of Claude Code's `/cost` and `/usage`, in every form that it had since 0.2. Pure.
//!
//! A paste is what a terminal showed: with prompts and frames around it, cut at any width, coloured perhaps. A line is
//! recognised by its label; a line that has none goes on with the line before it; what is left is told line by line and
//! never guessed at. Numbers keep how far they are rounded ([`Shown`]).

use std::borrow::Cow;

use crate::domain::{
    CapturedCost, CapturedLimit, CapturedModel, MAX_COUNT, PicoUsd, Shown, ShownCost, ShownUsage, UnreadLine,
    clean_name,
};

/// More than any screen has; the rest of a longer text is not read.
const MAX_LINES: usize = 2_000;
/// Longest line that is told as it is.
const MAX_LINE_CHARS: usize = 200;
/// Longest name of a model or limit.
const MAX_NAME_CHARS: usize = 80;
/// The headings of the client's panel.
const TABS: [&str; 6] = ["Settings", "Status", "Config", "Usage", "Stats", "Help"];

/// Reads a paste.
#[must_use]
pub fn parse(text: &str) -> CapturedCost {
    let mut reader = Reader::default();
    for (at, line) in text.lines().take(MAX_LINES).enumerate() {
        let plain = without_escapes(line);
        let bare = bare(&plain);
        if !bare.is_empty() {
            reader.read(at + 1, bare);
        }
    }
    reader.finish()
}

/// What the lines so far say.
#[derive(Default)]
struct Reader {
    cost: CapturedCost,
    /// Whether models are listed here.
    in_models: bool,
    /// A line of usage that may go on: its number, its text, and whether it could be read as it is.
    open: Option<(usize, String, bool)>,
    /// The limit that the next bar belongs to, and its line.
    limit: Option<(usize, String)>,
}

impl Reader {
    fn read(&mut self, number: usize, line: &str) {
        if self.goes_on(line) {
            return;
        }
        self.close();
        if is_decoration(line) || self.read_labelled(number, line) || self.read_limit(number, line) {
            return;
        }
        if self.in_models && line.contains(':') {
            let is_read = self.read_model(line);
            self.open = Some((number, line.to_owned(), is_read));
            return;
        }
        self.unread(number, line);
    }

    /// Takes a line as the rest of the one before it, which the terminal has cut.
    fn goes_on(&mut self, line: &str) -> bool {
        let Some((number, before, was_read)) = self.open.take() else { return false };
        let joined = format!("{before} {line}");
        let starts_anew = label_of(line).is_some() || is_limit_name(line);
        if !starts_anew && let Some(model) = model_of(&joined) {
            if was_read {
                self.cost.models.pop();
            }
            self.cost.models.push(model);
            self.open = Some((number, joined, true));
            return true;
        }
        // Neither is it the end of a line that was cut more than once.
        if !starts_anew && !was_read && model_of(line).is_none() {
            self.open = Some((number, joined, false));
            return true;
        }
        self.open = Some((number, before, was_read));
        false
    }

    fn close(&mut self) {
        if let Some((number, line, false)) = self.open.take() {
            self.unread(number, &line);
        }
    }

    fn unread(&mut self, line: usize, text: &str) {
        let text = clean_name(text, MAX_LINE_CHARS).unwrap_or_default();
        self.cost.unread.push(UnreadLine { line, text });
    }

    /// A line with one of the labels that screens have; `false` if it has none.
    fn read_labelled(&mut self, number: usize, line: &str) -> bool {
        if let Some(plan) = subscription_of(line) {
            self.cost.subscription = Some(plan);
            return true;
        }
        let Some((label, value)) = label_of(line) else { return false };
        self.in_models = label == Label::Models;
        let is_read = match label {
            Label::Models => value.is_empty() || self.read_model(value),
            Label::Total => self.read_total(value),
            Label::ApiTime => keep(&mut self.cost.api_ms, duration_of(value)),
            Label::WallTime => keep(&mut self.cost.wall_ms, duration_of(value)),
            Label::Changes => keep(&mut self.cost.lines, changes_of(value)),
            Label::Usage => keep(&mut self.cost.usage, usage_of(value).map(|(usage, _)| usage)),
        };
        if !is_read {
            self.unread(number, line);
        }
        true
    }

    fn read_total(&mut self, value: &str) -> bool {
        let (amount, rest) = value.split_once(' ').unwrap_or((value, ""));
        self.cost.is_inaccurate |= rest.contains("inaccurate");
        let is_known = rest.trim().is_empty() || rest.contains("inaccurate");
        keep(&mut self.cost.total, cost_of(amount)) && is_known
    }

    fn read_model(&mut self, line: &str) -> bool {
        let model = model_of(line);
        let is_read = model.is_some();
        self.cost.models.extend(model);
        is_read
    }

    /// The name of a limit, its bar, when it starts anew, or a notice.
    fn read_limit(&mut self, number: usize, line: &str) -> bool {
        if is_limit_name(line) {
            self.in_models = false;
            self.limit = Some((number, clean_name(line, MAX_NAME_CHARS).unwrap_or_default()));
            return true;
        }
        if let Some(used_percent) = bar_of(line) {
            let Some((_, limit)) = self.limit.take() else { return false };
            self.cost.limits.push(CapturedLimit { limit, used_percent, resets: None });
            return true;
        }
        if let Some(resets) = line.strip_prefix("Resets ")
            && let Some(limit) = self.cost.limits.last_mut().filter(|limit| limit.resets.is_none())
        {
            limit.resets = clean_name(resets, MAX_NAME_CHARS);
            return true;
        }
        // What the client advertises below a limit.
        if !self.cost.limits.is_empty() && line.starts_with(['+', '-']) && line.contains('%') {
            self.cost.notices.extend(clean_name(line, MAX_LINE_CHARS));
            return true;
        }
        false
    }

    fn finish(mut self) -> CapturedCost {
        self.close();
        if let Some((number, limit)) = self.limit.take() {
            self.unread(number, &limit);
        }
        self.cost.unread.sort_by_key(|unread| unread.line);
        self.cost
    }
}

/// Keeps a value, if there is one; the first of two that disagree stays.
fn keep<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let is_read = value.is_some();
    if place.is_none() {
        *place = value;
    }
    is_read
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Total,
    ApiTime,
    WallTime,
    Changes,
    Models,
    Usage,
}

/// The label of a line, in whatever case, and what follows it.
fn label_of(line: &str) -> Option<(Label, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = match label.trim().to_ascii_lowercase().as_str() {
        "total cost" => Label::Total,
        "total duration (api)" => Label::ApiTime,
        "total duration (wall)" => Label::WallTime,
        "total code changes" => Label::Changes,
        "usage by model" => Label::Models,
        "usage" => Label::Usage,
        _ => return None,
    };
    Some((label, value.trim()))
}

/// `With your Claude Max subscription, no need to monitor cost …`
fn subscription_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("With your Claude ")?;
    let (plan, _) = rest.split_once(" subscription")?;
    clean_name(plan, MAX_NAME_CHARS)
}

/// A line without the colours and moves of a terminal.
fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut plain = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if rest.clone().next() == Some('[') {
            rest.by_ref().skip(1).find(|c| c.is_ascii_alphabetic());
        }
    }
    Cow::Owned(plain)
}

/// A line without prompts, frames, transcript tags and the space around it.
fn bare(line: &str) -> &str {
    let is_frame = |c: char| {
        c.is_whitespace() || c == '\u{feff}' || matches!(c, '⎿' | '│' | '┃' | '|' | '●' | '⏺' | '\u{a0}')
    };
    let line = line.trim_matches(is_frame);
    let line = line.strip_prefix("<local-command-stdout>").unwrap_or(line);
    line.strip_suffix("</local-command-stdout>").unwrap_or(line).trim_matches(is_frame)
}

/// Whether a line is the command itself, a frame, or the panel's headings.
fn is_decoration(line: &str) -> bool {
    let typed = line.trim_start_matches(['>', '❯', '$']).trim();
    let is_command = ["/cost", "/usage", "Session", "Esc to cancel", ""].contains(&typed);
    is_command
        || line.chars().all(|c| ('\u{2500}'..='\u{257f}').contains(&c) || "-=_ ".contains(c))
        || line.split_whitespace().all(|word| TABS.contains(&word)) && line.contains(' ')
}

fn is_limit_name(line: &str) -> bool {
    (line.starts_with("Current session") || line.starts_with("Current week")) && !line.contains(':')
}

/// `███▌   7% used`
fn bar_of(line: &str) -> Option<u64> {
    let (bar, rest) = line.rsplit_once(['█', '▌', '▎', '▍', '▊', '▋', '▉', '▏', '░', ' '])?;
    let share = if rest == "used" { bar.rsplit(' ').next()? } else { return None };
    let share = share.trim_start_matches(|c: char| !c.is_ascii_digit()).strip_suffix('%')?;
    share.parse().ok().filter(|share| *share <= 1_000)
}

/// `claude-haiku:  13.5k input, 222 output, 0 cache read, 0 cache write ($0.0146)`
fn model_of(line: &str) -> Option<CapturedModel> {
    let (model, value) = line.split_once(": ")?;
    let model = clean_name(model, MAX_NAME_CHARS).filter(|model| !model.contains(' '))?;
    let (usage, rest) = usage_of(value)?;
    let cost = match rest.trim() {
        "" => None,
        rest => Some(cost_of(rest.strip_prefix('(')?.strip_suffix(')')?)?),
    };
    Some(CapturedModel { model, usage, cost })
}

/// `1.3k input, 39 output, 640 cache read, 0 cache write, 1 web search`, and what follows. Input and output must be there.
fn usage_of(text: &str) -> Option<(ShownUsage, &str)> {
    let (list, rest) = text.split_at(text.find('(').unwrap_or(text.len()));
    let mut usage = ShownUsage::default();
    let mut seen = Vec::new();
    for part in list.trim().split(',') {
        let (number, class) = part.trim().split_once(' ')?;
        let number = number_of(number)?;
        let class = class.split_whitespace().collect::<Vec<_>>().join(" ");
        let place = match class.as_str() {
            "input" => &mut usage.input,
            "output" => &mut usage.output,
            "cache read" => &mut usage.cache_read,
            "cache write" => &mut usage.cache_write,
            "web search" | "web searches" => &mut usage.web_searches,
            _ => return None,
        };
        if seen.contains(&class) {
            return None;
        }
        *place = number;
        seen.push(class);
    }
    let is_whole = ["input", "output", "cache read", "cache write"]
        .iter()
        .all(|class| seen.iter().any(|seen| seen == class));
    is_whole.then_some((usage, rest))
}

/// `640`, `1,234`, `18.5k`, `1.7m`.
fn number_of(text: &str) -> Option<Shown> {
    let text = text.replace(',', "").to_ascii_lowercase();
    let (digits, unit) = match text.char_indices().last()? {
        (at, 'k') => (&text[..at], 1_000),
        (at, 'm') => (&text[..at], 1_000_000),
        (at, 'b') => (&text[..at], 1_000_000_000),
        _ => (&*text, 1),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let step = unit / 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    if step == 0 {
        return None;
    }
    let value = format!("{whole}{fraction}").parse::<u64>().ok()?.checked_mul(step)?;
    (value <= MAX_COUNT).then_some(Shown { value, step })
}

/// `$0.0975`, `$46.40`, `$1,234.50`
fn cost_of(text: &str) -> Option<ShownCost> {
    let digits = text.trim().strip_prefix('$')?;
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.contains(['e', 'E', '-']) {
        return None;
    }
    let decimals = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let step = 10_i128.checked_pow(12_u32.checked_sub(u32::try_from(decimals).ok()?)?)?;
    Some(ShownCost { amount: PicoUsd::parse(digits)?, step: PicoUsd::from_pico(step) })
}

/// `1d 22h 55m`, `1m 59.9s`, `0s`, in milliseconds.
fn duration_of(text: &str) -> Option<u64> {
    let mut millis: u64 = 0;
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    for word in words {
        let unit_at = word.find(|c: char| c.is_ascii_alphabetic())?;
        let (digits, unit) = word.split_at(unit_at);
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let part = if fraction.is_empty() {
            whole.parse::<u64>().ok()?.checked_mul(unit)?
        } else {
            let scale =
                10_u64.checked_pow(u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 6)?)?;
            let number = whole.parse::<u64>().ok()?.checked_mul(scale)?;
            number.checked_add(fraction.parse().ok()?)?.checked_mul(unit)? / scale
        };
        millis = millis.checked_add(part)?;
    }
    Some(millis)
}

/// `10 lines added, 1 line removed`
fn changes_of(text: &str) -> Option<(u64, u64)> {
    let (added, removed) = text.split_once(',')?;
    let count = |text: &str, what: &str| {
        let mut words = text.split_whitespace();
        let count = number_of(words.next()?)?.value;
        let is_lines = words.next().is_some_and(|word| word == "line" || word == "lines");
        (is_lines && words.next() == Some(what)).then_some(count)
    };
    Some((count(added, "added")?, count(removed, "removed")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_how_far_they_are_rounded() {
        assert_eq!(number_of("640"), Some(Shown::exact(640)));
        assert_eq!(number_of("1.7m"), Some(Shown { value: 1_700_000, step: 100_000 }));
        assert_eq!(number_of("12k"), Some(Shown { value: 12_000, step: 1_000 }));
        assert_eq!(number_of("1,234"), Some(Shown::exact(1_234)));
        for odd in ["", "k", ".5k", "-1", "1.5", "1e3", "99999999999m", "1.2.3k"] {
            assert_eq!(number_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn durations_have_any_units() {
        assert_eq!(duration_of("1d 22h 55m"), Some(168_900_000));
        assert_eq!(duration_of("1m 59.9s"), Some(119_900));
        assert_eq!(duration_of("250ms"), Some(250));
        assert_eq!((duration_of(""), duration_of("soon"), duration_of("5x")), (None, None, None));
    }

    #[test]
    fn a_row_can_be_cut_anywhere() {
        let row = "claude-opus-4-5:  3.4k input, 10.7k output, 1.7m cache read, 235.3k cache write, 1 web search ($2.63)";
        let whole = parse(&format!("Usage by model:\n {row}\n"));
        assert_eq!((whole.models.len(), &whole.unread), (1, &Vec::new()));
        for (at, _) in row.match_indices(' ').skip(1) {
            let cut =
                parse(&format!("Usage by model:\n  {}\n    {}\nTotal cost: $1.00", &row[..at], &row[at..]));
            assert_eq!((cut.models, cut.unread), (whole.models.clone(), Vec::new()), "cut at {at}");
        }
    }

    #[test]
    fn what_is_not_known_is_told_line_by_line() {
        let text = "Total cost: lots\nTotal moons: 5\nUsage by model:\n  x: 5 input, 1 output\nTotal duration (API): 1s";
        let cost = parse(text);
        let unread: Vec<_> = cost.unread.iter().map(|unread| (unread.line, unread.text.as_str())).collect();
        let expected = [(1, "Total cost: lots"), (2, "Total moons: 5"), (4, "x: 5 input, 1 output")];
        assert_eq!((unread, cost.api_ms), (expected.to_vec(), Some(1_000)));
        assert!(parse("").is_empty() && parse("hello").is_empty());
    }

    #[test]
    fn colours_and_frames_are_passed_over() {
        let text = "\u{1b}[2m│ \u{1b}[0mTotal cost:            \u{1b}[1m$0.61\u{1b}[0m │\r\n╰────╯";
        let cost = parse(text);
        assert_eq!(cost.total.unwrap().amount, PicoUsd::parse("0.61").unwrap());
        assert_eq!(cost.unread, []);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_fault(text in "([ \\PC\u{1b}]|Usage by model:|\n|input,|\\$|[0-9]k? |: ){0,60}") {
            let cost = parse(&text);
            prop_assert!(cost.unread.iter().all(|unread| !unread.text.chars().any(char::is_control)));
        }
    }
}
