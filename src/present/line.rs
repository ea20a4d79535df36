//! Lines of text that `render` fits to the width of a terminal.

/// A line, with a label before it or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLine {
    /// The label, in a column of its own; an empty one leaves the column empty, and `None` has no such column.
    pub label: Option<&'static str>,
    /// What it says.
    pub phrases: Vec<Phrase>,
    /// What becomes of it where it is too wide.
    pub fit: Fit,
}

impl PageLine {
    /// A line behind a label, its phrases with dots between them.
    #[must_use]
    pub fn joined(label: &'static str, phrases: Vec<Phrase>) -> Self {
        Self { label: Some(label), phrases, fit: Fit::Joined }
    }

    /// A line behind a label that is never broken.
    #[must_use]
    pub fn whole(label: &'static str, phrase: impl Into<Phrase>) -> Self {
        Self { label: Some(label), phrases: vec![phrase.into()], fit: Fit::Whole }
    }

    /// A text behind a label, broken between its words.
    #[must_use]
    pub fn wrapped(label: &'static str, phrase: impl Into<Phrase>) -> Self {
        Self { label: Some(label), phrases: vec![phrase.into()], fit: Fit::Wrapped }
    }

    /// A line without a label.
    #[must_use]
    pub const fn bare(phrases: Vec<Phrase>, fit: Fit) -> Self {
        Self { label: None, phrases, fit }
    }
}

/// How the phrases of a line stand together, and what becomes of them where they are too wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// With dots between them; those that do not fit go on below.
    Joined,
    /// With dots between them, or each on a line of its own.
    Stacked,
    /// With spaces between them, on one line.
    Spaced,
    /// Broken between words.
    Wrapped,
    /// As it is: a command to copy must stay one line.
    Whole,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// Our own words before a name, or all there is.
    pub before: String,
    /// A name from outside, which may be long.
    pub name: Option<Name>,
    /// Our own words behind the name.
    pub after: String,
    /// How it is meant.
    pub tone: Tone,
}

impl Phrase {
    /// A name alone.
    #[must_use]
    pub fn name(text: &str, room: Room) -> Self {
        Self::with_name("", text, room, "")
    }

    /// A name between words.
    #[must_use]
    pub fn with_name(before: &str, text: &str, room: Room, after: &str) -> Self {
        let name = Name { text: text.to_owned(), room, keep: Keep::Start };
        Self { name: Some(name), after: after.to_owned(), ..Self::from(before.to_owned()) }
    }

    /// This phrase in a tone.
    #[must_use]
    pub fn in_tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self { before: text, name: None, after: String::new(), tone: Tone::Plain }
    }
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A name in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name as it came.
    pub text: String,
    /// How wide it may be.
    pub room: Room,
    /// Which part of it is kept where it is wider.
    pub keep: Keep,
}

/// How wide a name may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The terminal's width without so many columns.
    AllBut(usize),
    /// Half the terminal's width.
    Half,
}

/// Which part of a name says most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Its start.
    Start,
    /// Its end, as of a path.
    End,
}

/// How a phrase is meant. Each has a color of its own or none; [`Tone::Plain`] has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tone {
    #[default]
    Plain,
    Strong,
    Dim,
    Good,
    Warning,
    Exceeded,
}
