//! Writes the built-in price table as Rust source, so that the program reads no TOML to know a price: the table is a
//! constant, and looking a model up is a binary search.

#![expect(clippy::expect_used, reason = "a build script fails by panicking")]

use std::env;
use std::fmt::Write as _;
use std::path::Path;

use tallyhook_price_file::{Model, Row, fingerprint, read};

const TABLE: &str = "prices.toml";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={TABLE}");
    #[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script where to write")]
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let text = std::fs::read_to_string(TABLE).expect("prices.toml can be read");
    std::fs::write(Path::new(&out).join("prices.rs"), source(&text)).expect("OUT_DIR can be written");
}

/// The table as Rust source.
fn source(text: &str) -> String {
    let prices = read(text).unwrap_or_else(|fault| {
        let line = text[..fault.at].matches('\n').count() + 1;
        panic!("{TABLE}: line {line}: {}", fault.reason)
    });
    let date = prices.date.expect("prices.toml says of when its prices are");

    let mut names: Vec<(&str, usize)> = Vec::new();
    let mut code = format!(
        "pub(super) const DATE: i64 = {date};\npub(super) const VERSION: u64 = {:#018x};\n",
        fingerprint(text)
    );
    writeln!(code, "pub(super) static MODELS: [Model; {}] = [", prices.models.len())
        .expect("a string takes all");
    for (index, entry) in prices.models.iter().enumerate() {
        names.extend(entry.names.iter().map(|name| (&**name, index)));
        write_model(&mut code, &entry.model);
    }
    names.sort_unstable();
    writeln!(code, "];\npub(super) static NAMES: [(&str, u16); {}] = [", names.len())
        .expect("a string takes all");
    for (name, index) in names {
        writeln!(code, "    ({name:?}, {index}),").expect("a string takes all");
    }
    code.push_str("];\n");
    code
}

fn write_model(code: &mut String, model: &Model) {
    assert!(
        !model.provider.is_empty() && !model.source.is_empty(),
        "{:?} names its provider and source",
        model.id
    );
    let Model { id, provider, source, released, window, fast, fast_until, us, regional, batch, rows } = model;
    write!(
        code,
        "    Model {{ id: Cow::Borrowed({id:?}), provider: Cow::Borrowed({provider:?}), \
         source: Cow::Borrowed({source:?}), released: {released:?}, window: {window:?}, fast: {fast:?}, \
         fast_until: {fast_until:?}, us: {us:?}, regional: {regional:?}, batch: {batch:?}, \
         rows: Cow::Borrowed(&["
    )
    .expect("a string takes all");
    for Row { from, until, over, hours, weekdays, rates } in rows.iter() {
        // `Rates` prints as the expression that makes it.
        write!(
            code,
            "Row {{ from: {from:?}, until: {until:?}, over: {over}, hours: {hours}, weekdays: {weekdays}, \
             rates: {rates:?} }}, "
        )
        .expect("a string takes all");
    }
    code.push_str("]) },\n");
}
