//! Texts that occur many times, each kept once.

use std::collections::HashMap;
use std::rc::Rc;

/// Texts, each kept once and known by a number: the first is 0, the next 1.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    texts: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, u32>,
}

impl Interner {
    /// The number of a text, which is kept if it is new.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // Four billion texts fit into no memory.
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let text: Rc<str> = text.into();
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// The number of a text that is known.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of a number; empty if there is none.
    #[must_use]
    pub fn text(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|at| self.texts.get(at)).map_or("", |text| text)
    }

    /// All texts, in the order of their numbers.
    #[must_use]
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number() {
        let mut interner = Interner::default();
        assert_eq!(["a", "", "a", "b"].map(|text| interner.number(text)), [0, 1, 0, 2]);
        assert_eq!(["a", "b", "c"].map(|text| interner.find(text)), [Some(0), Some(2), None]);
        assert_eq!([0, 1, 2, 3].map(|number| interner.text(number)), ["a", "", "b", ""]);
        assert_eq!(interner.texts().collect::<Vec<_>>(), ["a", "", "b"]);
    }
}
