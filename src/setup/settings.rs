//! Adding to and removing from a settings file as text, so that everything foreign stays to the letter.
//!
//! Pure: text in, text out.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{
    CstArray, CstContainerNode, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode,
};

use std::collections::HashMap;

use super::command::{RegisteredCommand, Target};
use crate::hook::manifest::{self, Subscription};

/// How a client wants its hooks written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookFormat {
    /// How an event's list is built.
    pub layout: HookLayout,
    /// Seconds that a new hook is given, if the client is to be told.
    pub timeout: Option<u32>,
    /// Whether the client reads a file with comments in it.
    pub has_comments: bool,
    /// Whether the client knows other members of `hooks` than events.
    pub has_switches: bool,
}

/// How an event's list of hooks is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookLayout {
    /// Groups that can have a matcher, each with its hooks, as Claude Code has them.
    Groups,
    /// The hooks themselves, in a file with a version, as the Copilot CLI has them.
    Flat,
}

impl HookLayout {
    /// The members that hold a hook's command and the time that it is given.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Groups => ("command", "timeout"),
            Self::Flat => ("bash", "timeoutSec"),
        }
    }
}

/// How Claude Code wants its hooks written.
pub const CLAUDE_CODE: HookFormat = HookFormat {
    layout: HookLayout::Groups,
    timeout: Some(manifest::TIMEOUT_SECONDS),
    has_comments: false,
    has_switches: false,
};

/// Why a text is not taken for settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFault {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

/// A registered hook of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredHook {
    /// The event.
    pub event: String,
    /// What runs.
    pub entry: Entry,
}

/// What is registered for an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The command.
    pub command: RegisteredCommand,
    /// Seconds after which the client gives up, as they are written.
    pub timeout: Option<String>,
}

/// What is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration<'a> {
    /// What the commands are brought to.
    pub target: &'a Target,
    /// How new ones are written.
    pub format: &'a HookFormat,
    /// The events.
    pub events: &'a [Subscription],
}

/// The settings with the hook registered for exactly the given events, once each. An entry of ours that is there is
/// brought up to date in its place and keeps its own arguments and timeout. A new one gets those that most of the others
/// have. If nothing is to be changed, the text comes back as it was.
///
/// # Errors
/// If the text is no settings file, or holds something else where the hooks belong.
pub fn register(text: &str, registration: &Registration<'_>) -> Result<String, SettingsFault> {
    let format = registration.format;
    let (root, rest) = parse_as(format, text)?;
    let settings = root.object_value_or_set();
    check_shape(text, &settings, |event| {
        !format.has_switches || registration.events.iter().any(|wanted| wanted.event == event)
    })?;
    let model = model(&found_in(&settings))
        .map_or_else(|| usual(registration), |entry| renewed(&entry, registration.target));
    if format.layout == HookLayout::Flat && settings.get(VERSION).is_none() {
        settings.insert(0, VERSION, CstInputValue::Number("1".to_owned()));
    }
    let hooks = settings.object_value_or_set("hooks");
    for property in hooks.properties() {
        let wanted = property
            .decoded_name()
            .is_some_and(|name| registration.events.iter().any(|subscription| subscription.event == name));
        if let Some(groups) = property.array_value().filter(|_| !wanted)
            && remove_ours(&groups, |_| true) > 0
            && groups.elements().is_empty()
        {
            property.remove();
        }
    }
    for subscription in registration.events {
        let groups = hooks.array_value_or_set(subscription.event);
        let found = ours(&groups);
        // One with arguments of its own, such as another ledger, is there on purpose. The same once more is not.
        let mut kept: Vec<RegisteredCommand> = Vec::new();
        for hook in found.iter().filter(|hook| hook.runs_always) {
            let command = renewed(&hook.found, registration.target).command;
            if !kept.contains(&command) {
                update(hook, registration.target);
                kept.push(command);
            }
        }
        if kept.is_empty() {
            // One that its matcher kept from some calls is widened.
            let entry =
                found.first().map_or_else(|| model.clone(), |hook| renewed(&hook.found, registration.target));
            kept.push(entry.command.clone());
            groups.append(new_hook(format, subscription, &entry));
        }
        let mut seen: Vec<RegisteredCommand> = Vec::new();
        remove_ours(&groups, |hook| {
            let command = renewed(&hook.found, registration.target).command;
            let is_first = hook.runs_always && kept.contains(&command) && !seen.contains(&command);
            if is_first {
                seen.push(command);
                return false;
            }
            kept.contains(&command)
        });
    }
    Ok(rest.with(&root))
}

/// The settings in which only `subscription` was added or taken out; all other entries of ours stay to the letter.
///
/// # Errors
/// If the text is no settings file, or holds something else where the hooks belong.
pub fn with_event(text: &str, subscription: &Subscription, is_wanted: bool) -> Result<String, SettingsFault> {
    let (root, rest) = parse(text)?;
    let settings = root.object_value_or_set();
    check_shape(text, &settings, |_| true)?;
    let others: Vec<RegisteredHook> =
        found_in(&settings).into_iter().filter(|found| found.event != subscription.event).collect();
    let Some(model) = model(&others) else { return Ok(text.to_owned()) };
    let hooks = settings.object_value_or_set("hooks");
    if is_wanted {
        let groups = hooks.array_value_or_set(subscription.event);
        if !ours(&groups).iter().any(|hook| hook.runs_always) {
            remove_ours(&groups, |_| true);
            groups.append(new_hook(&CLAUDE_CODE, subscription, &model));
        }
    } else if let Some(property) = hooks.get(subscription.event)
        && let Some(groups) = property.array_value()
        && remove_ours(&groups, |_| true) > 0
        && groups.elements().is_empty()
    {
        property.remove();
    }
    Ok(rest.with(&root))
}

/// What most entries have; of two that are as frequent that of the tools' event.
#[must_use]
pub fn model(found: &[RegisteredHook]) -> Option<Entry> {
    let mut counts: HashMap<&Entry, usize> = HashMap::new();
    for found in found {
        *counts.entry(&found.entry).or_default() += 1;
    }
    let weight = |found: &&RegisteredHook| (counts.get(&found.entry).copied(), found.event == "PostToolUse");
    // Of equals the first one, so that the answer does not depend on anything else.
    found.iter().rev().max_by_key(weight).map(|found| found.entry.clone())
}

/// What is registered where nothing of ours was before.
fn usual(registration: &Registration<'_>) -> Entry {
    let timeout = registration.format.timeout.map(|seconds| seconds.to_string());
    Entry { command: RegisteredCommand::hook(registration.target), timeout }
}

fn renewed(entry: &Entry, target: &Target) -> Entry {
    match entry.command.as_hook() {
        Some(call) => Entry { command: entry.command.renewed(&call, target), timeout: entry.timeout.clone() },
        None => entry.clone(),
    }
}

/// Claude Code's settings without any hook of ours, as [`HookFormat::unregister`] says.
///
/// # Errors
/// If the text is no settings file.
pub fn unregister(text: &str, original: Option<&str>) -> Result<String, SettingsFault> {
    CLAUDE_CODE.unregister(text, original)
}

/// All hooks of ours in a settings file of Claude Code.
///
/// # Errors
/// If the text is no settings file.
pub fn registered(text: &str) -> Result<Vec<RegisteredHook>, SettingsFault> {
    CLAUDE_CODE.registered(text)
}

/// Whether there is a hook of ours in a file of any client.
pub(super) fn holds_ours(text: &str) -> bool {
    let any = HookFormat { has_comments: true, ..CLAUDE_CODE };
    any.registered(text).is_ok_and(|found| !found.is_empty())
}

impl HookFormat {
    /// The settings without any hook of ours. Lists and objects that this leaves empty are removed, unless `original`
    /// (the settings before ours were added) has them too.
    ///
    /// # Errors
    /// If the text is no settings file.
    pub fn unregister(&self, text: &str, original: Option<&str>) -> Result<String, SettingsFault> {
        let (root, rest) = parse_as(self, text)?;
        let Some(settings) = root.object_value() else { return Ok(text.to_owned()) };
        refuse_twins(text, &settings)?;
        let Some(hooks) = settings.object_value("hooks") else { return Ok(text.to_owned()) };
        refuse_twins(text, &hooks)?;
        // The first that we have seen of a file may have had hooks of ours in it already, written by hand.
        let original = original.and_then(|text| self.unregister(text, None).ok());
        let original = original.as_deref();
        let before =
            original.and_then(|text| parse_as(self, text).ok()).and_then(|(root, _)| root.object_value());
        let hooks_before = before.as_ref().and_then(|settings| settings.object_value("hooks"));
        let mut changed = false;
        for property in hooks.properties() {
            let Some(groups) = property.array_value() else { continue };
            if remove_ours(&groups, |_| true) == 0 {
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
        let had_version = before.as_ref().is_some_and(|settings| settings.get(VERSION).is_some());
        if self.layout == HookLayout::Flat
            && !had_version
            && (before.is_some() || settings.properties().len() == 1)
            && let Some(property) = settings.get(VERSION)
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

    /// All hooks of ours in a file of the client.
    ///
    /// # Errors
    /// If the text is no settings file.
    pub fn registered(&self, text: &str) -> Result<Vec<RegisteredHook>, SettingsFault> {
        let (root, _) = parse_as(self, text)?;
        Ok(root.object_value().map(|settings| found_in(&settings)).unwrap_or_default())
    }
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

fn found_in(settings: &CstObject) -> Vec<RegisteredHook> {
    let Some(hooks) = settings.object_value("hooks") else { return Vec::new() };
    let mut found = Vec::new();
    for property in hooks.properties() {
        let Some(groups) = property.array_value() else { continue };
        let event = property.decoded_name().unwrap_or_default();
        found.extend(
            ours(&groups).into_iter().map(|hook| RegisteredHook { event: event.clone(), entry: hook.found }),
        );
    }
    found
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

/// Claude Code's settings as a tree.
pub(super) fn parse(text: &str) -> Result<(CstRootNode, Rest<'_>), SettingsFault> {
    parse_as(&CLAUDE_CODE, text)
}

fn parse_as<'a>(format: &HookFormat, text: &'a str) -> Result<(CstRootNode, Rest<'a>), SettingsFault> {
    let (bom, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    if !format.has_comments {
        check_strictly(body)?;
    }
    let root = CstRootNode::parse(body, &JSON_WITH_COMMENTS).map_err(|error| SettingsFault {
        line: error.line_display(),
        column: error.column_display(),
        reason: format!("this isn't valid JSON ({})", error.kind()),
    })?;
    match root.value() {
        None => Ok((root, Rest { bom })),
        Some(value) if value.as_object().is_some() => Ok((root, Rest { bom })),
        Some(_) => {
            Err(SettingsFault { line: 1, column: 1, reason: "the settings aren't a JSON object".to_owned() })
        }
    }
}

/// What is taken of a client that strips comments and parses the rest as JSON.
const JSON_WITH_COMMENTS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The member of a [flat](HookLayout::Flat) file that says how it is written.
const VERSION: &str = "version";

/// JSON and nothing more: a file with comments or trailing commas is one that the client itself does not load
/// (seen with clients 2.0.77, 2.1.110 and 2.1.330).
fn check_strictly(text: &str) -> Result<(), SettingsFault> {
    if text.trim().is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let reason = format!("this isn't valid JSON ({reason})");
        SettingsFault { line: error.line(), column: error.column(), reason }
    })
}

/// Refuses settings in which something else stands where hooks of an event belong: it is foreign, and the client may know it.
fn check_shape(
    text: &str,
    settings: &CstObject,
    is_event: impl Fn(&str) -> bool,
) -> Result<(), SettingsFault> {
    refuse_twins(text, settings)?;
    let Some(property) = settings.get("hooks") else { return Ok(()) };
    let Some(hooks) = property.object_value() else {
        return Err(fault_at(text, "\"hooks\"", "\"hooks\" isn't an object"));
    };
    refuse_twins(text, &hooks)?;
    for event in hooks.properties() {
        let name = event.decoded_name().unwrap_or_default();
        if event.array_value().is_none() && is_event(&name) {
            return Err(fault_at(
                text,
                &format!("\"{name}\""),
                &format!("the hooks for {name} aren't a list"),
            ));
        }
    }
    Ok(())
}

/// Refuses an object in which a name stands twice: the client takes the last one, and we might edit the other.
pub(super) fn refuse_twins(text: &str, object: &CstObject) -> Result<(), SettingsFault> {
    let mut names: Vec<String> = object.properties().iter().filter_map(CstObjectProp::decoded_name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(fault_at(text, &format!("\"{}\"", pair[0]), &format!("{:?} appears here twice", pair[0])))
        }
        None => Ok(()),
    }
}

fn fault_at(text: &str, mark: &str, reason: &str) -> SettingsFault {
    let before = &text[..text.find(mark).unwrap_or(0)];
    SettingsFault {
        line: before.matches('\n').count() + 1,
        column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
        reason: reason.to_owned(),
    }
}

/// A hook of ours in an event's list.
struct OurHook {
    /// The hook itself.
    entry: CstObject,
    /// The list of the group that it stands in; `None` if it stands in no group.
    list: Option<CstArray>,
    /// The member that holds its command.
    command_name: &'static str,
    /// What it says.
    found: Entry,
    /// Whether its group has no matcher that keeps it from some of the events.
    runs_always: bool,
}

fn ours(groups: &CstArray) -> Vec<OurHook> {
    let mut ours = Vec::new();
    for group in groups.elements().iter().filter_map(CstNode::as_object) {
        let Some(list) = group.array_value("hooks") else {
            ours.extend(our_hook(group, None, HookLayout::Flat, true));
            continue;
        };
        let runs_always = match group.get("matcher") {
            None => true,
            Some(_) => string(&group, "matcher").is_some_and(|matcher| matches!(matcher.as_str(), "" | "*")),
        };
        let entries = list.elements().into_iter().filter_map(|element| element.as_object());
        ours.extend(
            entries.filter_map(|entry| our_hook(entry, Some(list.clone()), HookLayout::Groups, runs_always)),
        );
    }
    ours
}

/// What is said of a hook, if it is ours.
fn our_hook(
    entry: CstObject,
    list: Option<CstArray>,
    layout: HookLayout,
    runs_always: bool,
) -> Option<OurHook> {
    let (command_name, timeout_name) = layout.names();
    let command = string(&entry, command_name)?;
    let args = if layout == HookLayout::Groups { strings(&entry, "args") } else { None };
    let timeout = entry.get(timeout_name).and_then(|timeout| timeout.value()).map(|value| value.to_string());
    let found = Entry { command: RegisteredCommand { command, args }, timeout };
    found.command.as_hook()?;
    Some(OurHook { entry, list, command_name, found, runs_always })
}

/// Brings a hook of ours up to date.
fn update(hook: &OurHook, target: &Target) {
    let new = renewed(&hook.found, target);
    if string(&hook.entry, "type").as_deref() != Some("command") {
        set(&hook.entry, "type", CstInputValue::String("command".to_owned()));
    }
    if new.command.command != hook.found.command.command {
        set(&hook.entry, hook.command_name, CstInputValue::String(new.command.command));
    }
    match (&new.command.args, &hook.found.command.args) {
        (new, old) if new == old => {}
        (Some(args), _) => set(&hook.entry, "args", texts(args)),
        (None, _) => {
            if let Some(property) = hook.entry.get("args") {
                property.remove();
            }
        }
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

/// Removes those of our hooks that are unwanted, and the groups that this empties. Returns how many there were.
fn remove_ours(groups: &CstArray, mut is_unwanted: impl FnMut(&OurHook) -> bool) -> usize {
    let mut count = 0;
    for hook in ours(groups) {
        if !is_unwanted(&hook) {
            continue;
        }
        count += 1;
        hook.entry.remove();
        if let Some(list) = hook.list.filter(|list| list.elements().is_empty())
            && let Some(group) = group_of(&list)
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

/// The texts of a list; `None` if there is none, or something else is among them.
fn strings(object: &CstObject, name: &str) -> Option<Vec<String>> {
    let list = object.get(name)?.array_value()?;
    list.elements().iter().map(|element| element.as_string_lit()?.decoded_value().ok()).collect()
}

fn texts(texts: &[String]) -> CstInputValue {
    CstInputValue::Array(texts.iter().cloned().map(CstInputValue::String).collect())
}

/// Our hook as an element of an event's list.
fn new_hook(format: &HookFormat, subscription: &Subscription, entry: &Entry) -> CstInputValue {
    let (command_name, timeout_name) = format.layout.names();
    let mut hook = vec![
        ("type".to_owned(), CstInputValue::String("command".to_owned())),
        (command_name.to_owned(), CstInputValue::String(entry.command.command.clone())),
    ];
    if let Some(args) = &entry.command.args {
        hook.push(("args".to_owned(), texts(args)));
    }
    if let Some(timeout) = &entry.timeout {
        hook.push((timeout_name.to_owned(), CstInputValue::Number(timeout.clone())));
    }
    let hook = CstInputValue::Object(hook);
    if format.layout == HookLayout::Flat {
        return hook;
    }
    let mut group = Vec::new();
    if subscription.by_tool {
        group.push(("matcher".to_owned(), CstInputValue::String("*".to_owned())));
    }
    group.push(("hooks".to_owned(), CstInputValue::Array(vec![hook])));
    CstInputValue::Object(group)
}
