//! Adding to and removing from a settings file as text, so that everything foreign stays to the letter.
//!
//! Pure: text in, text out.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{
    CstArray, CstContainerNode, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode,
};

use super::command;
use crate::hook::manifest::Subscription;

/// Why a text is not taken for settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

/// A registered hook of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The event.
    pub event: String,
    /// The command line.
    pub command: String,
}

/// What is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration<'a> {
    /// The command line, the same for all events.
    pub command: &'a str,
    /// The events.
    pub events: &'a [Subscription],
    /// Seconds after which the client gives up.
    pub timeout_seconds: u32,
}

/// The settings with the hook registered for exactly the given events, once each. An entry of ours that is there is
/// brought up to date in its place. If nothing is to be changed, the text comes back as it was.
///
/// # Errors
/// If the text is no settings file, or holds something else where the hooks belong.
pub fn register(text: &str, registration: &Registration<'_>) -> Result<String, Fault> {
    let (root, rest) = parse(text)?;
    let settings = root.object_value_or_set();
    check_shape(text, &settings)?;
    let hooks = settings.object_value_or_set("hooks");
    for property in hooks.properties() {
        let wanted = property
            .decoded_name()
            .is_some_and(|name| registration.events.iter().any(|subscription| subscription.event == name));
        if let Some(groups) = property.array_value().filter(|_| !wanted)
            && remove_ours(&groups, None) > 0
            && groups.elements().is_empty()
        {
            property.remove();
        }
    }
    for subscription in registration.events {
        let groups = hooks.array_value_or_set(subscription.event);
        let found = ours(&groups);
        match found.iter().position(|hook| hook.runs_always) {
            Some(kept) => {
                update(&found[kept].entry, registration);
                remove_ours(&groups, Some(kept));
            }
            None => {
                remove_ours(&groups, None);
                groups.append(entry(subscription, registration));
            }
        }
    }
    Ok(rest.with(&root))
}

/// The settings without any hook of ours. Lists and objects that this leaves empty are removed, unless `original`
/// (the settings before ours were added) has them too.
///
/// # Errors
/// If the text is no settings file.
pub fn unregister(text: &str, original: Option<&str>) -> Result<String, Fault> {
    let (root, rest) = parse(text)?;
    let Some(settings) = root.object_value() else { return Ok(text.to_owned()) };
    refuse_twins(text, &settings)?;
    let Some(hooks) = settings.object_value("hooks") else { return Ok(text.to_owned()) };
    refuse_twins(text, &hooks)?;
    let before = original.and_then(|text| parse(text).ok()).and_then(|(root, _)| root.object_value());
    let hooks_before = before.as_ref().and_then(|settings| settings.object_value("hooks"));
    let mut changed = false;
    for property in hooks.properties() {
        let Some(groups) = property.array_value() else { continue };
        if remove_ours(&groups, None) == 0 {
            continue;
        }
        changed = true;
        let name = property.decoded_name().unwrap_or_default();
        let was_there = hooks_before.as_ref().is_some_and(|hooks| hooks.get(&name).is_some());
        if groups.elements().is_empty() && !was_there {
            property.remove();
        }
    }
    if !changed {
        return Ok(text.to_owned());
    }
    if hooks.properties().is_empty()
        && hooks_before.is_none()
        && let Some(property) = settings.get("hooks")
    {
        property.remove();
    }
    let after = rest.with(&root);
    // If nothing else was changed since, the white space between the lines comes back too.
    Ok(match original {
        Some(original) if without_space(original) == without_space(&after) => original.to_owned(),
        _ => after,
    })
}

/// A JSON text without the white space outside of its strings.
fn without_space(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            let quote = *c == '"' && !escaped;
            escaped = in_string && *c == '\\' && !escaped;
            in_string ^= quote;
            in_string || !c.is_whitespace()
        })
        .collect()
}

/// All hooks of ours in a settings file.
///
/// # Errors
/// If the text is no settings file.
pub fn registered(text: &str) -> Result<Vec<Found>, Fault> {
    let (root, _) = parse(text)?;
    let mut found = Vec::new();
    let Some(hooks) = root.object_value().and_then(|settings| settings.object_value("hooks")) else {
        return Ok(found);
    };
    for property in hooks.properties() {
        let Some(groups) = property.array_value() else { continue };
        let event = property.decoded_name().unwrap_or_default();
        for hook in ours(&groups) {
            let command = string(&hook.entry, "command").unwrap_or_default();
            found.push(Found { event: event.clone(), command });
        }
    }
    Ok(found)
}

/// What stands around the JSON value and is kept aside while it is edited.
pub(super) struct Rest<'a> {
    bom: &'a str,
}

impl Rest<'_> {
    pub(super) fn with(&self, root: &CstRootNode) -> String {
        format!("{}{root}", self.bom)
    }
}

pub(super) fn parse(text: &str) -> Result<(CstRootNode, Rest<'_>), Fault> {
    let (bom, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    check_strictly(body)?;
    let root = CstRootNode::parse(body, &ParseOptions::default()).map_err(|error| Fault {
        line: error.line_display(),
        column: error.column_display(),
        reason: format!("this is not valid JSON ({})", error.kind()),
    })?;
    match root.value() {
        None => Ok((root, Rest { bom })),
        Some(value) if value.as_object().is_some() => Ok((root, Rest { bom })),
        Some(_) => Err(Fault { line: 1, column: 1, reason: "the settings are not a JSON object".to_owned() }),
    }
}

/// JSON and nothing more: a file with comments or trailing commas is one that the client itself does not load
/// (seen with clients 2.0.77, 2.1.110 and 2.1.330).
fn check_strictly(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let reason = format!("this is not valid JSON ({reason})");
        Fault { line: error.line(), column: error.column(), reason }
    })
}

/// Refuses settings in which something else stands where hooks belong: it is foreign, and the client may know it.
fn check_shape(text: &str, settings: &CstObject) -> Result<(), Fault> {
    refuse_twins(text, settings)?;
    let Some(property) = settings.get("hooks") else { return Ok(()) };
    let Some(hooks) = property.object_value() else {
        return Err(fault_at(text, "\"hooks\"", "\"hooks\" is not an object"));
    };
    refuse_twins(text, &hooks)?;
    for event in hooks.properties() {
        let name = event.decoded_name().unwrap_or_default();
        if event.array_value().is_none() {
            return Err(fault_at(
                text,
                &format!("\"{name}\""),
                &format!("the hooks of {name} are not a list"),
            ));
        }
    }
    Ok(())
}

/// Refuses an object in which a name stands twice: the client takes the last one, and we might edit the other.
pub(super) fn refuse_twins(text: &str, object: &CstObject) -> Result<(), Fault> {
    let mut names: Vec<String> = object.properties().iter().filter_map(CstObjectProp::decoded_name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(fault_at(text, &format!("\"{}\"", pair[0]), &format!("{:?} stands here twice", pair[0])))
        }
        None => Ok(()),
    }
}

fn fault_at(text: &str, mark: &str, reason: &str) -> Fault {
    let before = &text[..text.find(mark).unwrap_or(0)];
    Fault {
        line: before.matches('\n').count() + 1,
        column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
        reason: reason.to_owned(),
    }
}

/// A hook of ours among an event's groups.
struct OurHook {
    /// The list that it stands in.
    list: CstArray,
    /// The hook itself.
    entry: CstObject,
    /// Whether its group has no matcher that keeps it from some of the events.
    runs_always: bool,
}

fn ours(groups: &CstArray) -> Vec<OurHook> {
    let mut found = Vec::new();
    for group in groups.elements().iter().filter_map(CstNode::as_object) {
        let Some(list) = group.array_value("hooks") else { continue };
        let runs_always = match group.get("matcher") {
            None => true,
            Some(_) => string(&group, "matcher").is_some_and(|matcher| matches!(matcher.as_str(), "" | "*")),
        };
        for entry in list.elements().iter().filter_map(CstNode::as_object) {
            if string(&entry, "command").is_some_and(|command| command::parse(&command).is_some()) {
                found.push(OurHook { list: list.clone(), entry, runs_always });
            }
        }
    }
    found
}

/// Brings a hook of ours up to date.
fn update(hook: &CstObject, registration: &Registration<'_>) {
    for (name, wanted) in [("type", "command"), ("command", registration.command)] {
        if string(hook, name).as_deref() != Some(wanted) {
            set(hook, name, CstInputValue::String(wanted.to_owned()));
        }
    }
    let timeout = registration.timeout_seconds.to_string();
    let now = hook.get("timeout").and_then(|property| property.value());
    if now.is_none_or(|value| value.to_string() != timeout) {
        set(hook, "timeout", CstInputValue::Number(timeout));
    }
}

pub(super) fn set(object: &CstObject, name: &str, value: CstInputValue) {
    match object.get(name) {
        Some(property) => property.set_value(value),
        None => {
            object.append(name, value);
        }
    }
}

/// Removes our hooks but the one at `keep`, and the groups that this empties. Returns how many there were.
fn remove_ours(groups: &CstArray, keep: Option<usize>) -> usize {
    let found = ours(groups);
    let count = found.len();
    for (at, hook) in found.into_iter().enumerate() {
        if Some(at) == keep {
            continue;
        }
        hook.entry.remove();
        if hook.list.elements().is_empty()
            && let Some(group) = group_of(&hook.list)
        {
            group.remove();
        }
    }
    count
}

/// The group whose list of hooks this is.
fn group_of(hooks: &CstArray) -> Option<CstObject> {
    let property = hooks.parent()?;
    match property {
        CstContainerNode::ObjectProp(property) => match property.parent()? {
            CstContainerNode::Object(group) => Some(group),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn string(object: &CstObject, name: &str) -> Option<String> {
    object.get(name)?.value()?.as_string_lit()?.decoded_value().ok()
}

/// A group with our hook alone.
fn entry(subscription: &Subscription, registration: &Registration<'_>) -> CstInputValue {
    let hook = CstInputValue::Object(vec![
        ("type".to_owned(), CstInputValue::String("command".to_owned())),
        ("command".to_owned(), CstInputValue::String(registration.command.to_owned())),
        ("timeout".to_owned(), CstInputValue::Number(registration.timeout_seconds.to_string())),
    ]);
    let mut group = Vec::new();
    if subscription.by_tool {
        group.push(("matcher".to_owned(), CstInputValue::String("*".to_owned())));
    }
    group.push(("hooks".to_owned(), CstInputValue::Array(vec![hook])));
    CstInputValue::Object(group)
}
