//! The source tree keeps to its own map: who may use whom, how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::support::{files_below, repository};

/// The top-level modules from the bottom up, and what each may use besides itself. A module stands below all that
/// use it, so there is no way round in a circle; only `error`, which wraps the failures of every layer, stands low
/// though it names what is above it.
const MAY_USE: &[(&str, &[&str])] = &[
    // Values and arithmetic.
    ("domain", &[]),
    ("platform", &[]),
    // Opening files that may be something else.
    ("regular", &[]),
    // Starting other programs.
    ("child", &[]),
    ("json", &["domain"]),
    ("stdin", &["json"]),
    ("pricing", &["domain", "regular"]),
    ("env", &["domain"]),
    // Days, weeks and months as the user counts them.
    ("calendar", &["domain", "env"]),
    ("estimate", &["domain", "json"]),
    ("config", &["domain", "estimate", "regular"]),
    ("clients", &["domain", "env", "json", "regular"]),
    ("reconcile", &["domain"]),
    // What stood in which context; pure.
    ("attribution", &["domain"]),
    // It stores what readers read and estimators estimate, and knows nothing of who asks.
    ("store", &["domain", "platform", "regular", "pricing", "estimate", "reconcile"]),
    // How far what was used has come; asked by the hook, the reports and the commands.
    ("budget", &["domain", "env", "calendar", "config", "store"]),
    ("error", &["domain", "env", "config", "clients", "pricing", "store", "setup"]),
    ("ingest", &["domain", "env", "estimate", "config", "clients", "pricing", "reconcile", "store", "error"]),
    ("allocation", &["domain", "estimate", "attribution", "pricing", "store", "ingest"]),
    ("report", &["domain", "calendar", "estimate", "pricing", "store", "allocation", "budget"]),
    // Every word that people read, of data that others have gathered.
    ("present", &["domain", "calendar", "store", "budget", "report"]),
    // The hot path: of what is shown it has single sentences alone.
    (
        "hook",
        &[
            "domain", "json", "env", "estimate", "config", "clients", "pricing", "store", "error", "ingest",
            "budget", "calendar", "stdin", "regular", "present",
        ],
    ),
    ("setup", &["child", "domain", "json", "env", "error", "hook", "platform", "regular", "store"]),
    (
        "doctor",
        &[
            "domain", "env", "config", "estimate", "hook", "platform", "regular", "pricing", "setup",
            "store", "present",
        ],
    ),
    // As hot as the hook.
    ("statusline", &["domain", "json", "env", "config", "budget", "store", "calendar"]),
    ("render", &["domain", "json", "calendar", "report", "present"]),
    // What leaves the ledger. Sinks for databases are in other crates.
    ("export", &["domain", "calendar", "pricing", "store", "allocation", "report", "render"]),
    (
        "cli",
        &[
            "domain",
            "env",
            "estimate",
            "config",
            "pricing",
            "store",
            "error",
            "ingest",
            "allocation",
            "hook",
            "setup",
            "doctor",
            "platform",
            "report",
            "present",
            "regular",
            "render",
            "export",
            "clients",
            "statusline",
            "budget",
            "calendar",
            "child",
            "stdin",
        ],
    ),
];

/// Crates that belong to some modules. Others may be used anywhere but in `domain`.
const CRATES: &[(&str, &[&str])] = &[
    ("chrono", &["calendar", "domain"]),
    ("jiff", &["calendar"]),
    // The ledger, and clients that keep their logs in databases.
    ("rusqlite", &["clients", "store"]),
    ("toml", &["config"]),
    ("tallyhook_prices", &["pricing"]),
    ("clap", &["cli"]),
    ("anstream", &["cli"]),
    ("terminal_size", &["cli"]),
    ("comfy_table", &["render"]),
    ("unicode_width", &["render"]),
    ("tallyhook_counter", &["cli", "doctor", "estimate", "hook"]),
    ("tiktoken_rs", &[]),
    ("proptest", &[]),
];

/// What values and arithmetic may use; serde_json because no float holds a sum of money.
const CRATES_OF_THE_DOMAIN: [&str; 4] = ["std", "chrono", "serde", "serde_json"];

/// The longest a file may be, in lines.
const MAX_LINES: usize = 700;
/// Files that have grown above it and are to be split. The list may only get shorter.
const TOO_LONG: &[&str] = &[];

/// A source file without comments and test code.
struct Source {
    /// Below `src`, with `/`.
    path: String,
    /// The top-level module; `lib` and `main` for the roots.
    module: String,
    /// Modules from the crate's root to this file.
    depth: usize,
    text: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let folder = repository().join("src");
    let files = files_below(&folder);
    let rust = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources: Vec<Source> = rust.map(|path| Source::read(&folder, path)).collect();
    assert!(sources.len() > 40, "only {} files found", sources.len());
    sources
}

impl Source {
    fn read(folder: &Path, path: &Path) -> Self {
        let below = path.strip_prefix(folder).unwrap();
        let parts: Vec<&str> =
            below.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs")).collect();
        let text = std::fs::read_to_string(path).unwrap();
        Self {
            path: below.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/"),
            module: parts[0].to_owned(),
            depth: parts.iter().filter(|part| !["mod", "lib", "main"].contains(part)).count(),
            // Tests that fill a file of their own, behind `#[cfg(test)] mod tests;`.
            code: if below.ends_with("tests.rs") { String::new() } else { code(&text) },
            text,
        }
    }
}

/// `text` without comments and without items that are marked `#[cfg(test)]`. It relies on rustfmt's indentation.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        if bare == "#[cfg(test)]" {
            let indent = &line[..line.len() - bare.len()];
            let end = format!("{indent}}}");
            for line in lines.by_ref() {
                if line == end
                    || (line.starts_with(indent)
                        && line.ends_with(';')
                        && !line[indent.len()..].starts_with(' '))
                {
                    break;
                }
            }
        } else if !bare.starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or(line));
            code.push('\n');
        }
    }
    code
}

/// Words that follow `before` in `code`, where `before` is not the end of a longer word.
fn words_after<'c>(code: &'c str, before: &str) -> impl Iterator<Item = &'c str> {
    code.match_indices(before).filter_map(move |(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if code[..at].ends_with(is_part) {
            return None;
        }
        let rest = &code[at + before.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(&rest[..end])
    })
}

/// What the `use` lines of `code` begin with.
fn used_crates(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
        line.strip_prefix("use ")?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
}

#[test]
fn modules_use_only_what_stands_below_them() {
    let mut wrong = Vec::new();
    for source in sources() {
        if ["lib", "main"].contains(&&*source.module) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == source.module) else {
            panic!("src/{} is of a module that is not in the table", source.path);
        };
        for used in words_after(&source.code, "crate::") {
            if used != source.module && !allowed.contains(&used) {
                wrong.push(format!("src/{} uses crate::{used}", source.path));
            }
        }
        let root = "super::".repeat(source.depth);
        if words_after(&source.code, &root).next().is_some() {
            wrong.push(format!("src/{} reaches the crate's root by {root}", source.path));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_table_of_modules_is_whole_and_has_no_circles() {
    let all: BTreeSet<String> = sources().into_iter().map(|source| source.module).collect();
    let table: BTreeSet<String> = MAY_USE.iter().map(|(module, _)| (*module).to_owned()).collect();
    let known = &table | &["lib", "main"].map(str::to_owned).into();
    assert_eq!(&all - &known, BTreeSet::new(), "not in the table");
    for (at, (module, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let below = MAY_USE[..at].iter().any(|(module, _)| module == used);
            assert!(below || *module == "error", "{module} may use {used}, which stands above it");
        }
    }
}

#[test]
fn the_roots_hold_no_logic() {
    for source in sources().iter().filter(|source| ["lib", "main"].contains(&&*source.module)) {
        assert!(source.code.lines().count() < 30, "src/{}", source.path);
        assert_eq!(words_after(&source.code, "crate::").count(), 0, "src/{}", source.path);
    }
}

#[test]
fn each_crate_is_used_where_it_belongs() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, modules) in CRATES {
            let used = used_crates(&source.code).any(|used| used == *name)
                || words_after(&source.code, &format!("{name}::")).next().is_some();
            if used && !modules.contains(&&*source.module) {
                wrong.push(format!("src/{} uses {name}", source.path));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_domain_uses_nothing_but_std_chrono_serde_and_serde_json() {
    for source in sources().iter().filter(|source| source.module == "domain") {
        for used in used_crates(&source.code) {
            let own = ["super", "self"].contains(&used) || source.code.contains(&format!("mod {used};"));
            assert!(own || CRATES_OF_THE_DOMAIN.contains(&used), "src/{} uses {used}", source.path);
        }
    }
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    let sources = sources();
    for known in TOO_LONG {
        assert!(
            sources.iter().any(|source| source.path == *known),
            "src/{known} is gone; take it off the list"
        );
    }
    for source in sources {
        let lines = source.text.lines().count();
        let known = TOO_LONG.contains(&&*source.path);
        assert!(known || lines <= MAX_LINES, "src/{} has {lines} lines; split it", source.path);
        assert!(!known || lines > MAX_LINES, "src/{} is short again; take it off the list", source.path);
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "src/{}", source.path);
    }
}

/// Openings that lean on the item above. Rustdoc and editors show an item without it.
const LEANS: [&str; 6] = ["The same", "And ", "Both.", "Both,", "As [`", "Nor "];

/// Where paragraphs of docstrings open with one of [`LEANS`]: numbers of lines.
fn leaning(text: &str) -> Vec<usize> {
    let doc = |line: &str| {
        let line = line.trim_start();
        let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
        Some(text.trim_start().to_owned())
    };
    let (mut found, mut begins) = (Vec::new(), true);
    for (number, line) in (1..).zip(text.lines()) {
        let Some(line) = doc(line) else {
            begins = true;
            continue;
        };
        if begins && LEANS.iter().any(|opening| line.starts_with(opening)) {
            found.push(number);
        }
        begins = line.is_empty() || line.starts_with("# ");
    }
    found
}

#[test]
fn docstrings_stand_alone() {
    let text = "/// One.\nconst A: u8 = 1;\n/// And two,\n/// And three.\n///\n/// # Errors\n/// As [`a`].\n// The same.\n";
    assert_eq!(leaning(text), [3, 7]);
    let is_ours = |file: &str| {
        let parts: Vec<&str> = file.split('/').collect();
        file.ends_with(".rs") && matches!(parts[..], ["src" | "benches", ..] | ["crates", _, "src", ..])
    };
    let (mut wrong, mut files) = (Vec::new(), 0);
    for (file, text) in tree().iter().filter(|(file, _)| is_ours(file)) {
        files += 1;
        wrong.extend(
            leaning(text).into_iter().map(|line| format!("{file}:{line} leans on what stands above it")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(files > 100, "only {files} files found");
}

/// The names that `docs/glossary.md` refuses, in its last column.
fn retired() -> Vec<String> {
    let page = include_str!("../../docs/glossary.md");
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(2);
    let words = rows.filter_map(|row| row.trim_end_matches(" |").rsplit("| ").next());
    words
        .flat_map(|words| words.split(", "))
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// A retired word is refused as the name of a type, of a module, and as a word of such a name.
#[test]
fn retired_words_name_nothing() {
    let retired = retired();
    assert!(retired.len() > 10 && retired.iter().any(|word| word == "Sighting"), "{retired:?}");
    let is_retired = |name: &str| retired.iter().any(|word| name == word || name == word.to_lowercase());
    let mut wrong = Vec::new();
    for source in sources() {
        let code = code(&source.text);
        for before in ["struct ", "enum ", "trait ", "type "] {
            let names = words_after(&code, before).filter(|name| is_retired(name));
            wrong.extend(names.map(|name| format!("src/{}: {before}{name}", source.path)));
        }
        let modules =
            words_after(&code, "mod ").filter(|name| retired.iter().any(|word| *name == word.to_lowercase()));
        wrong.extend(modules.map(|name| format!("src/{}: mod {name}", source.path)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The names of types that `code` defines outside of functions' bodies and `impl`s: structs, enums, traits, and aliases.
fn types_defined(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let bare = line.trim_start();
        let item = match bare.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
            Some(rest) => rest.trim_start(),
            None => bare,
        };
        let kinds = ["struct ", "enum ", "union ", "trait ", "type "];
        let rest = kinds.into_iter().find_map(|kind| item.strip_prefix(kind))?;
        // Within an `impl` or a trait, `type` is what the trait asks for.
        if item.starts_with("type ") && line.starts_with(' ') {
            return None;
        }
        let name = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())];
        // A macro's `struct $name`.
        (!name.is_empty()).then_some(name)
    })
}

/// Parts that each client has of its own, in a folder of its own: `codex::Hooks`, `gemini::Hooks`. What a reader remembers between
/// two lines, its `State`, is not seen outside of its file.
const PARTS_OF_CLIENTS: [&str; 3] = ["Chats", "Hooks", "State"];

/// A reader, and a search, must know what a type is by its name. Two of one name in one file are for two systems.
#[test]
fn no_type_is_named_as_another() {
    let text =
        "pub(super) struct A<T>(T);\nimpl I for A {\n    type B = u8;\n}\n    enum C {\npub type D = u8;\n";
    assert_eq!(types_defined(text).collect::<Vec<_>>(), ["A", "C", "D"]);
    let mut files = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources() {
        let is_of_client = source.module == "clients" && source.path.matches('/').count() > 1;
        for name in types_defined(&source.code) {
            if is_of_client && PARTS_OF_CLIENTS.contains(&name) {
                continue;
            }
            files.entry(name.to_owned()).or_default().insert(source.path.clone());
        }
    }
    assert!(files.len() > 300, "only {} types found", files.len());
    files.retain(|_, files| files.len() > 1);
    assert_eq!(files, BTreeMap::new());
}

/// What is made and not written: builds, what the fuzzer collects, mutants, git's own.
const MADE: [&str; 7] = [".git", "target", "corpus", "artifacts", "coverage", "mutants.out", "node_modules"];

/// The text files of the repository, with their paths in it.
pub(crate) fn tree() -> Vec<(String, String)> {
    fn add(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_made = path.file_name().is_some_and(|name| MADE.iter().any(|made| name == *made));
            match path.is_dir() {
                _ if is_made => {}
                true => add(&path, files),
                false => files.push(path),
            }
        }
    }
    let mut files = Vec::new();
    add(repository(), &mut files);
    files.sort();
    let read = |file: PathBuf| {
        let below = file.strip_prefix(repository()).unwrap();
        let name = below.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/");
        Some((name, std::fs::read_to_string(&file).ok()?))
    };
    let tree: Vec<_> = files.into_iter().filter_map(read).collect();
    assert!(tree.len() > 300, "only {} files found", tree.len());
    tree
}

/// The anchor that a heading has in a Markdown page.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A Markdown page without its blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Why a link leads nowhere, if it does: `target` is a path from the repository's root, with or without an anchor.
fn broken(target: &str) -> Option<String> {
    let (file, wanted) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = repository().join(file);
    let Some(wanted) = wanted else { return (!path.exists()).then(|| format!("there is no {file}")) };
    let Ok(page) = std::fs::read_to_string(path) else { return Some(format!("there is no page {file}")) };
    let is_there = prose(&page).any(|line| {
        let heading = line.trim_start_matches('#');
        heading.len() < line.len() && heading.starts_with(' ') && anchor(heading) == wanted
    });
    (!is_there).then(|| format!("{file} has no heading #{wanted}"))
}

#[test]
fn every_page_that_is_cited_has_what_it_is_cited_for() {
    let cited = Regex::new(r"docs/[\w./-]*\w\.md(?:#[\w-]+)?").unwrap();
    let (mut wrong, mut anchors) = (Vec::new(), 0);
    // What a recorded session says of its own project is no citation.
    let is_record = |file: &str| file.ends_with(".json") || file.ends_with(".jsonl");
    for (file, text) in tree().into_iter().filter(|(file, _)| !is_record(file)) {
        for target in cited.find_iter(&text).map(|found| found.as_str()) {
            anchors += usize::from(target.contains('#'));
            wrong.extend(broken(target).map(|why| format!("{file} cites {target}: {why}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(anchors > 40, "only {anchors} anchors are cited");
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let (mut wrong, mut links) = (Vec::new(), 0);
    for (file, text) in tree().iter().filter(|(file, _)| file.ends_with(".md")) {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in prose(text).flat_map(|line| link.captures_iter(line)).map(|found| found[1].to_owned()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let from_root = match target.strip_prefix('#') {
                Some(_) => format!("{file}{target}"),
                None => format!("{folder}/{target}").trim_start_matches('/').to_owned(),
            };
            wrong.extend(broken(&from_root).map(|why| format!("{file} links to {target}: {why}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(links > 100, "only {links} links found");
}

#[test]
fn nothing_points_outside_of_the_repository() {
    // Written so that this file does not name them. Folders that tests invent may have any name but these.
    let outside =
        ["FACT", "S\\b|DES", "IGN\\.md|\\.\\./sha", "red|\\bsha", "red/|/wor", "k/(?:main|wt|shared|\\.)"];
    let outside = Regex::new(&outside.concat()).unwrap();
    assert!(
        ["FACT\u{53} 4", "`DESIGN\u{2e}md`", "../share\u{64}", "../../share\u{64}/x", "/work/main/x"]
            .iter()
            .all(|text| outside.is_match(text))
    );
    assert!(!outside.is_match("/work/shop, docs/facts.md#prices, unshared"));
    let mut wrong = Vec::new();
    for (file, text) in tree() {
        let lines = text.lines().filter(|line| outside.is_match(line)).count();
        // One optional step of the checks reads more material where it lies there.
        let is_known = file == "tests/it/tidy.rs" || file == ".ci/run" && lines == 1;
        if lines > 0 && !is_known {
            wrong.push(file.clone());
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn anchors_are_those_of_the_forges() {
    for (heading, expected) in [
        ("The client's own total", "the-clients-own-total"),
        ("Process start and JSON", "process-start-and-json"),
        ("export --what sessions", "export---what-sessions"),
        ("`cost-state` lines", "cost-state-lines"),
    ] {
        assert_eq!(anchor(heading), expected);
    }
    let page = "# One\n```\n# no heading\n```\n## Two\n";
    assert_eq!(prose(page).collect::<Vec<_>>(), ["# One", "## Two"]);
}

#[test]
fn test_code_and_comments_are_not_looked_at() {
    let text = "use a::b;\n// use c::d;\n#[cfg(test)]\nmod tests {\n    use e::f;\n    fn g() {\n    }\n}\nuse h::i; // use j::k\n#[cfg(test)]\nuse l::m;\nuse n::o;\n";
    let code = code(text);
    assert_eq!(used_crates(&code).collect::<Vec<_>>(), ["a", "h", "n"]);
    assert_eq!(words_after("crate::x xcrate::y crate::z::w", "crate::").collect::<Vec<_>>(), ["x", "z"]);
}

/// A name can have line breaks: `domain::OneLine` shows it in one line, and what is stored or compared is no text for people.
#[test]
fn paths_are_shown_in_one_line() {
    for source in sources() {
        assert!(!source.code.contains(".display()"), "src/{} shows a path as it is", source.path);
    }
}
