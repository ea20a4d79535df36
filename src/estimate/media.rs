//! Images and PDFs: their tokens go by pixels and pages, never by their base64 text.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::domain::{Estimate, Method};

/// Pixels to a token (`docs/facts.md#images-and-pdfs`, the provider's vision guide).
const PIXELS_PER_TOKEN: u64 = 750;
/// Longest side that is not scaled down, in pixels: of the models since Claude 4.7.
const MAX_SIDE: u32 = 2576;
/// Most tokens of one image: of the models since Claude 4.7.
const MAX_IMAGE_TOKENS: u64 = 4_784;
/// An image of which we cannot tell the size.
const UNKNOWN_IMAGE_TOKENS: u64 = 1_600;
/// The middle of the 1,500 to 3,000 tokens that a page takes (`docs/facts.md#images-and-pdfs`).
const TOKENS_PER_PAGE: u64 = 2_250;
/// Bytes of a PDF taken for a page when its page objects are compressed, or missing with its end ...
const BYTES_PER_PAGE: usize = 60_000;
/// ... and the most pages that are guessed so: a scanned page can have megabytes, and the guess is not to be more than ten
/// times too high.
const MAX_GUESSED_PAGES: u64 = 10;
/// What a PDF ends with, and in how many bytes at its end readers look for it.
const PDF_END: &[u8] = b"%%EOF";
const PDF_END_BYTES: usize = 1_024;
/// As much base64 as holds the header of any image with its embedded thumbnail.
const HEADER_CHARS: usize = 256 * 1024;

/// Decodes with or without padding: a header that we cut off has none.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Tokens of an image of `width` × `height` pixels, after the scaling that the provider does.
#[must_use]
pub fn image_tokens(width: u32, height: u32) -> u64 {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let long = width.max(height);
    let limit = u64::from(MAX_SIDE);
    let (width, height) =
        if long > limit { (width * limit / long, height * limit / long) } else { (width, height) };
    (width * height).div_ceil(PIXELS_PER_TOKEN).clamp(1, MAX_IMAGE_TOKENS)
}

/// Tokens of an image given as base64, by the size in its header; a middling number if it has none that we know. What is cut
/// behind the header changes nothing.
#[must_use]
pub fn base64_image(base64: &str) -> Estimate {
    match known_image_tokens(base64) {
        Some(tokens) => Estimate { tokens, method: Method::Image },
        None => Estimate { tokens: UNKNOWN_IMAGE_TOKENS, method: Method::FallbackMedia },
    }
}

/// Tokens of what may be an image in base64; `None` if it is none.
#[must_use]
pub fn known_image_tokens(base64: &str) -> Option<u64> {
    // A multiple of four characters decodes by itself; a character boundary it is, for base64 is ASCII.
    let take = base64.len().min(HEADER_CHARS) & !3;
    let size = base64
        .get(..take)
        .and_then(|header| BASE64.decode(header).ok())
        .and_then(|bytes| imagesize::blob_size(&bytes).ok())?;
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    Some(image_tokens(side(size.width), side(size.height)))
}

/// Tokens of a PDF given as base64, by its page objects. It is a guess where they are compressed, or where the PDF does not
/// get to its end: then the pages that are there count.
#[must_use]
pub fn base64_pdf(base64: &str) -> Estimate {
    // A multiple of four characters decodes by itself, wherever the text was cut.
    let take = if base64.ends_with('=') { base64.len() } else { base64.len() & !3 };
    let pdf = base64.get(..take).and_then(|base64| BASE64.decode(base64).ok()).unwrap_or_default();
    let pages = page_count(&pdf);
    let is_whole = memchr::memmem::find(&pdf[pdf.len().saturating_sub(PDF_END_BYTES)..], PDF_END).is_some();
    let method = if pages > 0 && is_whole { Method::Pdf } else { Method::FallbackMedia };
    let guess = || ((base64.len() / 4 * 3).div_ceil(BYTES_PER_PAGE) as u64).min(MAX_GUESSED_PAGES);
    Estimate { tokens: pages_tokens(if pages > 0 { pages } else { guess() }), method }
}

/// Tokens of so many pages of a PDF; at least one page.
#[must_use]
pub fn pages_tokens(pages: u64) -> u64 {
    pages.clamp(1, 1_000) * TOKENS_PER_PAGE
}

/// Counts the page objects of a PDF; none where they are compressed.
fn page_count(pdf: &[u8]) -> u64 {
    memchr::memmem::find_iter(pdf, b"/Type")
        .filter(|at| {
            let rest = pdf[at + b"/Type".len()..].trim_ascii_start();
            rest.starts_with(b"/Page") && rest.get(5).is_none_or(|byte| !byte.is_ascii_alphanumeric())
        })
        .count() as u64
}

/// Reads a page range as the `Read` tool takes it: `"3"`, `"1-5"`.
#[must_use]
pub fn pages_in_range(range: &str) -> Option<u64> {
    let page = |text: &str| text.trim().parse::<u64>().ok().filter(|page| *page > 0);
    match range.split_once('-') {
        Some((first, last)) => Some((page(last)?.checked_sub(page(first)?)?).saturating_add(1)),
        None => page(range).map(|_| 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_are_scaled_before_they_are_counted() {
        assert_eq!(image_tokens(64, 48), 5);
        assert_eq!(image_tokens(750, 1000), 1000);
        assert_eq!(image_tokens(10_000, 10_000), MAX_IMAGE_TOKENS);
        assert_eq!(image_tokens(u32::MAX, 1), 1);
        assert_eq!(image_tokens(0, 0), 1);
    }

    #[test]
    fn the_size_comes_from_the_header() {
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
        assert_eq!(base64_image(png), Estimate { tokens: 1, method: Method::Image });
        for unknown in ["not base64 \u{e9}", &png[..20]] {
            let guess = Estimate { tokens: UNKNOWN_IMAGE_TOKENS, method: Method::FallbackMedia };
            assert_eq!(base64_image(unknown), guess);
        }
    }

    #[test]
    fn a_pdf_that_is_cut_or_compressed_is_guessed_and_never_ten_times_too_high() {
        let page = [b"<</Type /Page>>" as &[u8], &[7; 100_000]].concat();
        let whole = [b"%PDF-1.7 " as &[u8], &page.repeat(10), b"%%EOF\n"].concat();
        let base64 = BASE64.encode(&whole);
        let pages = |pages, method| Estimate { tokens: pages_tokens(pages), method };
        assert_eq!(base64_pdf(&base64), pages(10, Method::Pdf));
        for cut in [base64.len() / 2, base64.len() / 2 + 1, base64.len() / 2 + 2, base64.len() / 2 + 3] {
            assert_eq!(base64_pdf(&base64[..cut]), pages(5, Method::FallbackMedia), "{cut}");
        }
        for (bytes, guess) in [(0, 1), (100_000, 2), (12_000_000, MAX_GUESSED_PAGES)] {
            let compressed = [vec![7; bytes], b"%%EOF".to_vec()].concat();
            assert_eq!(base64_pdf(&BASE64.encode(compressed)), pages(guess, Method::FallbackMedia));
        }
        assert_eq!(base64_pdf("no base64 \u{e9}"), pages(1, Method::FallbackMedia));
    }

    #[test]
    fn pages_are_counted_or_guessed() {
        assert_eq!(page_count(b"<</Type/Pages/Kids[]>> <</Type /Page/X 1>> <</Type/Page>>"), 2);
        assert_eq!(pages_in_range("1-5"), Some(5));
        assert_eq!(pages_in_range("7"), Some(1));
        assert_eq!(pages_in_range("5-1"), None);
        assert_eq!(pages_in_range("all"), None);
    }
}
