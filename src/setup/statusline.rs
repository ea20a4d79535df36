//! The client's status line: adding ours to settings and taking it out again, as text. Pure.
//!
//! There is one status line, so a foreign one is never replaced: it is left alone, or wrapped where the user asks for
//! that. Then its command is part of ours, and comes back when ours goes.

use jsonc_parser::cst::{CstInputValue, CstObject};

use super::command::{Call, RegisteredCommand};
use super::settings::{SettingsFault, parse, refuse_twins, set, string};

const MEMBER: &str = "statusLine";

/// A status line that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its command.
    pub command: String,
    /// The command taken apart, if it is ours.
    pub ours: Option<Call>,
}

/// The status line of a settings file; `None` if it has none.
///
/// # Errors
/// If the text is no settings file.
pub fn registered(text: &str) -> Result<Option<Registered>, SettingsFault> {
    let (root, _) = parse(text)?;
    let Some(settings) = root.object_value() else { return Ok(None) };
    refuse_twins(text, &settings)?;
    if settings.get(MEMBER).is_none() {
        return Ok(None);
    }
    let command = settings
        .object_value(MEMBER)
        .and_then(|line: CstObject| string(&line, "command"))
        .unwrap_or_default();
    let ours = RegisteredCommand::line(command.as_str()).as_status_line();
    Ok(Some(Registered { command, ours }))
}

/// The settings with `command` as their status line. What else the status line has, such as its padding, stays.
///
/// # Errors
/// If the text is no settings file, or holds something else in that place.
pub fn register(text: &str, command: &str) -> Result<String, SettingsFault> {
    let (root, rest) = parse(text)?;
    let settings = root.object_value_or_set();
    refuse_twins(text, &settings)?;
    match settings.get(MEMBER) {
        None => {
            let line = vec![
                ("type".to_owned(), CstInputValue::String("command".to_owned())),
                ("command".to_owned(), CstInputValue::String(command.to_owned())),
            ];
            settings.append(MEMBER, CstInputValue::Object(line));
        }
        Some(property) => {
            let Some(line) = property.object_value() else {
                let reason = "\"statusLine\" isn't an object".to_owned();
                return Err(SettingsFault { line: 1, column: 1, reason });
            };
            if string(&line, "command").as_deref() != Some(command) {
                set(&line, "command", CstInputValue::String(command.to_owned()));
            }
        }
    }
    Ok(rest.with(&root))
}

/// The settings without our status line: the one that it wraps comes back if `original` (the settings before us) had it,
/// or is not known. A foreign one stays.
///
/// # Errors
/// If the text is no settings file.
pub fn unregister(text: &str, original: Option<&str>) -> Result<String, SettingsFault> {
    let Some(ours) = registered(text)?.and_then(|found| found.ours) else { return Ok(text.to_owned()) };
    let was_there = match original {
        Some(original) => registered(original).ok().flatten().is_some_and(|found| found.ours.is_none()),
        None => true,
    };
    if let Some(wrapped) = ours.wrapped().filter(|_| was_there) {
        return register(text, wrapped);
    }
    let (root, rest) = parse(text)?;
    if let Some(property) = root.object_value().and_then(|settings| settings.get(MEMBER)) {
        property.remove();
    }
    Ok(rest.with(&root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::command::{Program, Target};

    const OURS: &str = r#"[ -x "/x/tallyhook" ] || exit 0; exec "/x/tallyhook" statusline"#;

    #[test]
    fn ours_comes_and_goes_without_a_trace() {
        let before = "{\n  \"model\": \"opus\"\n}\n";
        let with = register(before, OURS).unwrap();
        assert!(registered(&with).unwrap().unwrap().ours.is_some(), "{with}");
        assert_eq!(register(&with, OURS).unwrap(), with);
        assert_eq!(unregister(&with, Some(before)).unwrap(), before);
    }

    #[test]
    fn a_foreign_one_stays_or_is_wrapped_and_comes_back() {
        let foreign = "{\n  \"statusLine\": { \"type\": \"command\", \"command\": \"my line | tr a 'b'\", \"padding\": 0 }\n}\n";
        assert_eq!(unregister(foreign, None).unwrap(), foreign);
        let found = registered(foreign).unwrap().unwrap();
        assert_eq!((found.command.as_str(), found.ours), ("my line | tr a 'b'", None));
        let target = Target {
            program: Program::At("/x/tallyhook".into()),
            client: None,
            ledger: None,
            config: None,
            is_for_any_shell: false,
        };
        let wrapping = RegisteredCommand::status_line(&target, Some(&found.command)).command;
        let with = register(foreign, &wrapping).unwrap();
        let ours = registered(&with).unwrap().unwrap().ours.unwrap();
        assert_eq!(ours.wrapped(), Some("my line | tr a 'b'"));
        assert_eq!(unregister(&with, Some(foreign)).unwrap(), foreign);
        // One that another settings file had is not left behind here.
        assert_eq!(unregister(&with, Some("{}")).unwrap().replace(char::is_whitespace, ""), "{}");
    }

    #[test]
    fn odd_settings_are_left_alone() {
        assert!(register("{\"statusLine\": 5}", OURS).is_err());
        assert!(register("{\"statusLine\": {}, \"statusLine\": {}}", OURS).is_err());
        assert_eq!(registered("{}").unwrap(), None);
        assert_eq!(registered("{\"statusLine\": null}").unwrap().unwrap().command, "");
    }
}
