//! Reads what people paste of Claude Code's `/cost` and `/usage`, in every form that it had since 0.2. Pure.
//!
//! A paste is what a terminal showed: with prompts and frames around it, cut at any width, coloured perhaps. A line is
//! recognised by its label; a line that has none goes on with the line before it; what is left is told line by line and
//! never guessed at. Numbers keep how far they are rounded ([`Shown`]).
//!
//! The client writes numbers in the American form. A paste that came through another program can have those of another
//! country, and they are read where only one reading exists ([`amount::pasted`]).

use std::borrow::Cow;

use crate::domain::amount::{self, AmountFault};
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
/// What a subscriber's screen begins with since 2.0, up to what pays for it.
const POWERED: [&str; 2] =
    ["You are currently using your subscription", "You are currently using your overages"];
/// The heading of the screen's own analysis, which ends it.
const BEHAVIORS: &str = "What's contributing to your usage?";
/// The headings of the client's panel.
const TABS: [&str; 6] = ["Settings", "Status", "Config", "Usage", "Stats", "Help"];

/// Reads a paste.
#[must_use]
pub fn parse(text: &str) -> CapturedCost {
    let mut reader = ScreenReader::default();
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
struct ScreenReader {
    cost: CapturedCost,
    /// Whether models are listed here.
    in_models: bool,
    /// Whether the client's own analysis has begun, which says nothing of the session's cost.
    in_behaviors: bool,
    /// Whether a remark in brackets goes on.
    in_remark: bool,
    /// A line of usage that may go on.
    open: Option<Open>,
    /// The limit that the next bar belongs to, and its line.
    limit: Option<(usize, String)>,
}

/// A line of usage that the terminal may have cut.
struct Open {
    number: usize,
    text: String,
    /// Whether it could be read as it is.
    is_read: bool,
}

/// What a line of usage is of.
enum Used {
    Model(CapturedModel),
    All(ShownUsage),
}

impl ScreenReader {
    fn read(&mut self, number: usize, line: &str) {
        if self.goes_on(line) {
            return;
        }
        self.close();
        if std::mem::take(&mut self.in_remark) && label_of(line).is_none() {
            self.in_remark = !line.ends_with(')');
            self.cost.is_inaccurate |= line.contains("inaccurate");
            return;
        }
        if is_decoration(line) || self.read_labelled(number, line) || self.read_limit(number, line) {
            return;
        }
        if self.in_behaviors || line == BEHAVIORS || line.starts_with("breakdown ·") {
            self.in_behaviors |= line == BEHAVIORS;
            self.cost.notices.extend(clean_name(line, MAX_LINE_CHARS));
            return;
        }
        if self.in_models && line.contains(':') {
            self.open_usage(number, line);
            return;
        }
        self.unread(number, line);
    }

    /// Takes a line of usage, as far as it goes.
    fn open_usage(&mut self, number: usize, line: &str) {
        let is_read = used_of(line).is_some_and(|used| self.take(used));
        self.open = Some(Open { number, text: line.to_owned(), is_read });
    }

    fn take(&mut self, used: Used) -> bool {
        match used {
            Used::Model(model) => self.cost.models.push(model),
            Used::All(usage) => self.cost.usage = self.cost.usage.or(Some(usage)),
        }
        true
    }

    /// Takes a line as the rest of the one before it, which the terminal has cut.
    fn goes_on(&mut self, line: &str) -> bool {
        let Some(open) = self.open.take() else { return false };
        let joined = format!("{} {line}", open.text);
        let starts_anew = label_of(line).is_some() || is_limit_name(line);
        if !starts_anew && let Some(used) = used_of(&joined) {
            match &used {
                Used::Model(_) if open.is_read => drop(self.cost.models.pop()),
                Used::All(_) if open.is_read => self.cost.usage = None,
                _ => {}
            }
            let is_read = self.take(used);
            self.open = Some(Open { text: joined, is_read, ..open });
            return true;
        }
        // Neither is it the end of a line that was cut more than once.
        if !starts_anew && !open.is_read && used_of(line).is_none() {
            self.open = Some(Open { text: joined, ..open });
            return true;
        }
        self.open = Some(open);
        false
    }

    fn close(&mut self) {
        if let Some(Open { number, text, is_read: false }) = self.open.take() {
            self.unread(number, &text);
        }
    }

    fn unread(&mut self, line: usize, text: &str) {
        let reason = two_readings(text);
        let text = clean_name(text, MAX_LINE_CHARS).unwrap_or_default();
        self.cost.unread.push(UnreadLine { line, text, reason });
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
            Label::Models if value.is_empty() => true,
            Label::Models | Label::Usage => {
                // A model can stand beside the label.
                self.open_usage(number, if label == Label::Models { value } else { line });
                return true;
            }
            Label::Total => self.read_total(value),
            Label::ApiTime => keep(&mut self.cost.api_ms, duration_of(value)),
            Label::WallTime => keep(&mut self.cost.wall_ms, duration_of(value)),
            Label::Changes => keep(&mut self.cost.lines, changes_of(value)),
            Label::Remark => {
                self.cost.notices.extend(clean_name(line, MAX_LINE_CHARS));
                true
            }
        };
        if !is_read {
            self.unread(number, line);
        }
        true
    }

    /// `$0.0975`, and in brackets what is to be known of it: that models were unknown, or whose rates it has.
    fn read_total(&mut self, value: &str) -> bool {
        let (amount, rest) = value.split_once(' ').unwrap_or((value, ""));
        let rest = rest.trim();
        self.cost.is_inaccurate |= rest.contains("inaccurate");
        if rest.contains("configured rates") {
            self.cost.notices.extend(clean_name(rest.trim_matches(['(', ')']), MAX_LINE_CHARS));
        }
        self.in_remark = rest.starts_with('(') && !rest.ends_with(')');
        keep(&mut self.cost.total, cost_of(amount)) && (rest.is_empty() || rest.starts_with('('))
    }

    /// The name of a limit, its bar, when it starts anew, or a notice.
    fn read_limit(&mut self, number: usize, line: &str) -> bool {
        if let Some(limit) = limit_of(line) {
            self.in_models = false;
            self.cost.limits.push(limit);
            return true;
        }
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
    /// What belongs to none of the figures that are kept.
    Remark,
}

/// The label of a line, in whatever case, and what follows it.
fn label_of(line: &str) -> Option<(Label, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = match label.trim().to_ascii_lowercase().as_str() {
        // For readers of screens it is said what the screen is.
        "cost" => return label_of(value.trim()),
        // The latter since 2.1.
        "total cost" | "estimated cost" => Label::Total,
        "total duration (api)" => Label::ApiTime,
        "total duration (wall)" => Label::WallTime,
        "total code changes" => Label::Changes,
        // The latter in 1.0.
        "usage by model" | "token usage by model" => Label::Models,
        "usage" => Label::Usage,
        "mods' model calls" | "prompt cache (main)" | "spend (utc)" => Label::Remark,
        _ => return None,
    };
    Some((label, value.trim()))
}

/// `With your Claude Max subscription, no need to monitor cost …`, or `You are currently using your subscription …`
fn subscription_of(line: &str) -> Option<String> {
    if POWERED.iter().any(|start| line.starts_with(start)) {
        return Some(CapturedCost::UNNAMED_PLAN.to_owned());
    }
    let (_, rest) = line.split_once("With your Claude ")?;
    let (plan, _) = rest.split_once(" subscription")?;
    clean_name(plan, MAX_NAME_CHARS)
}

/// `Current session: 83% used · resets 8:49am`, `Spend limit: $3.50 / $10.00 spent (35%) · resets Aug 3`
fn limit_of(line: &str) -> Option<CapturedLimit> {
    let (name, rest) = line.split_once(": ")?;
    if !is_limit_name(name) && name != "Spend limit" {
        return None;
    }
    let (share, resets) = match rest.split_once(" · resets ") {
        Some((share, resets)) => (share, clean_name(resets, MAX_NAME_CHARS)),
        None => (rest, None),
    };
    let share = match share.rsplit_once('(') {
        Some((_, share)) => share.strip_suffix(')')?,
        None => share.strip_suffix(" used")?,
    };
    let used_percent = share.strip_suffix('%')?.parse().ok().filter(|share| *share <= 1_000)?;
    Some(CapturedLimit { limit: clean_name(name, MAX_NAME_CHARS)?, used_percent, resets })
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

/// A line of usage, of one model or of all.
fn used_of(line: &str) -> Option<Used> {
    match label_of(line) {
        Some((Label::Usage, value)) => {
            usage_of(value).filter(|(_, rest)| rest.is_empty()).map(|(usage, _)| Used::All(usage))
        }
        Some(_) => None,
        None => model_of(line).map(Used::Model),
    }
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
    // Without the space a comma belongs to a number.
    for part in list.trim().split(", ") {
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

/// What a suffix stands for, in either case.
fn unit_of(text: &str) -> (&str, u64) {
    let scaled = |suffix: [char; 2], unit| text.strip_suffix(suffix).map(|digits| (digits, unit));
    scaled(['k', 'K'], 1_000)
        .or_else(|| scaled(['m', 'M'], 1_000_000))
        .or_else(|| scaled(['b', 'B'], 1_000_000_000))
        .unwrap_or((text, 1))
}

/// `640`, `1,234`, `18.5k`, `1.7m`.
fn number_of(text: &str) -> Option<Shown> {
    let (digits, unit) = unit_of(text);
    // Without a suffix all digits are shown, so that nothing stands behind a point.
    let number = amount::pasted(digits, unit == 1)
        .ok()
        .filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    let step = unit / 10_u64.checked_pow(u32::try_from(number.decimals()).ok()?)?;
    let value = number.times(unit).filter(|value| *value <= MAX_COUNT && step > 0)?;
    Some(Shown { value, step })
}

/// `$0.0975`, `$46.40`, `$1,234.50`
fn cost_of(text: &str) -> Option<ShownCost> {
    let digits = text.trim().strip_prefix('$')?;
    let number =
        amount::pasted(digits, false).ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    let step = 10_i128.checked_pow(12_u32.checked_sub(u32::try_from(number.decimals()).ok()?)?)?;
    let amount = number.dollars().filter(|amount| *amount <= PicoUsd::MOST_KEPT)?;
    Some(ShownCost { amount, step: PicoUsd::from_pico(step) })
}

/// Why a line was not read, if a sum or a rounded number in it can mean two things.
fn two_readings(line: &str) -> Option<String> {
    line.split([' ', '(', ')']).find_map(|word| {
        let word = word.trim_end_matches(',');
        let (number, suffix) = match word.strip_prefix('$') {
            Some(number) => (number, ""),
            None => word.split_at(unit_of(word).0.len()),
        };
        let is_rounded = number.len() < word.len();
        match amount::pasted(number, false).err().filter(|_| is_rounded)? {
            AmountFault::Either(one, other) => {
                let (one, other) = (format!("{one}{suffix}"), format!("{other}{suffix}"));
                Some(AmountFault::Either(one, other).to_string())
            }
            _ => None,
        }
    })
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
        millis = millis.checked_add(amount::pasted(digits, false).ok()?.times_cut(unit)?)?;
    }
    Some(millis)
}

/// `10 lines added, 1 line removed`
fn changes_of(text: &str) -> Option<(u64, u64)> {
    let (added, removed) = text.split_once(", ")?;
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
    fn numbers_of_other_countries_are_read_where_only_one_reading_exists() {
        let tenth = Shown { value: 18_500, step: 100 };
        assert_eq!((number_of("18,5k"), number_of("18.5k")), (Some(tenth), Some(tenth)));
        assert_eq!(
            (number_of("1.234"), number_of("1\u{202f}234")),
            (Some(Shown::exact(1_234)), Some(Shown::exact(1_234)))
        );
        let cost = |text: &str| cost_of(text).map(|cost| (cost.amount.to_decimal(), cost.step.to_decimal()));
        let expected = Some(("1234.56".to_owned(), "0.01".to_owned()));
        assert_eq!((cost("$1.234,56"), cost("$1,234.56")), (expected.clone(), expected));
        assert_eq!(cost("$0,0975"), Some(("0.0975".to_owned(), "0.0001".to_owned())));
        assert_eq!(duration_of("1m 59,9s"), Some(119_900));
        assert_eq!(changes_of("1,234 lines added, 1.005 lines removed"), Some((1_234, 1_005)));
        for text in ["$1,234", "$1.234", "$12,345", "$1,2,3", "$9300000", "€5"] {
            assert_eq!(cost(text), None, "{text}");
        }
        assert_eq!((number_of("1,234k"), number_of("1.234m")), (None, None));
    }

    #[test]
    fn a_line_with_two_readings_says_so() {
        let read = parse(
            "Total cost: $1,234\nTotal moons: 3\nUsage by model:\n x: 1.234k input, 0 output, 0 cache read, 0 cache write",
        );
        let reasons: Vec<_> =
            read.unread.iter().map(|unread| (unread.line, unread.reason.as_deref())).collect();
        let either =
            |one: &str, other: &str| format!("it could mean {one} or {other}; write the one you mean");
        let (total, model) = (either("1234", "1.234"), either("1.234k", "1234k"));
        assert_eq!(reasons, [(1, Some(&*total)), (2, None), (4, Some(&*model))]);
        assert_eq!(read.total, None);
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
