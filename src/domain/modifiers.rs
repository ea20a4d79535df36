//! What changes the price of a request.

/// How a request was processed, as far as it changes the price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Modifiers {
    /// Fast mode; for OpenAI's models priority processing.
    pub fast: bool,
    /// Inference in the United States only.
    pub us: bool,
    /// Batch processing.
    pub batch: bool,
}

impl Modifiers {
    /// Reads what a log says of a response: `usage.speed`, `usage.inference_geo`, `usage.service_tier`. Words that are
    /// not known change nothing.
    #[must_use]
    pub fn from_log(speed: Option<&[u8]>, inference_geo: Option<&[u8]>, service_tier: Option<&[u8]>) -> Self {
        Self {
            fast: speed == Some(b"fast") || service_tier == Some(b"priority"),
            us: inference_geo == Some(b"us"),
            batch: service_tier == Some(b"batch"),
        }
    }

    /// As the ledger keeps it: 1 fast, 2 US, 4 batch.
    #[must_use]
    pub const fn to_bits(self) -> i64 {
        self.fast as i64 | (self.us as i64) << 1 | (self.batch as i64) << 2
    }

    /// From the ledger.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self { fast: bits & 1 != 0, us: bits & 2 != 0, batch: bits & 4 != 0 }
    }
}
