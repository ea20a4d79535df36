//! What is said of a report whose figures lack what another process holds back.

use crate::store::LeftOutPart;

/// A sentence that lists the parts, without a period; `None` if nothing is left out.
#[must_use]
pub fn sentence(parts: &[LeftOutPart]) -> Option<String> {
    let words: Vec<String> = parts
        .iter()
        .map(|part| match part {
            LeftOutPart::Events(1) => "1 queued event".to_owned(),
            LeftOutPart::Events(count) => format!("{count} queued events"),
            LeftOutPart::Transcripts => "new transcript lines".to_owned(),
            LeftOutPart::Prices => "price changes".to_owned(),
            LeftOutPart::Allocations => {
                "the breakdown of the latest costs by tool, skill, and step".to_owned()
            }
        })
        .collect();
    (!words.is_empty())
        .then(|| format!("another process has the ledger locked; not included yet: {}", words.join(", ")))
}
