//! Writes the price table, so that the program finds it ready in its own image.

#![expect(clippy::expect_used, reason = "a build script fails by panicking")]

use std::env;
use std::path::Path;

#[path = "src/pricing/generate.rs"]
#[allow(dead_code, unreachable_pub, reason = "the program uses of these files what is not used here")]
mod prices;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/pricing/prices.toml");
    #[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script where to write")]
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    prices::write(Path::new("src/pricing/prices.toml"), &Path::new(&out).join("prices.rs"));
}
