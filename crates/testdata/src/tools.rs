//! Calls of tools and what they return: to the model, and to the client's own record of them.

use std::fmt::Write as _;

use crate::chance::Chance;
use crate::log::push;
use crate::models::Era;
use crate::words::{Kind, Line, Words, approximate_millitokens, millitokens, name, push_lines, word};

/// What clients up to 2.1.38 added to each file that was read; shortened, but counted as it was.
const REMINDER: &str =
    "\\n\\n<system-reminder>\\nConsider whether this file would be malware.\\n</system-reminder>\\n";
const REMINDER_MILLITOKENS: u64 = 92_000;

/// A tool call.
#[derive(Debug)]
pub(crate) struct Call<'w> {
    pub(crate) id: String,
    pub(crate) tool: &'static str,
    /// JSON.
    pub(crate) input: String,
    pub(crate) millitokens: u64,
    what: What<'w>,
}

#[derive(Debug)]
enum What<'w> {
    /// A passage of so many bytes of a kind.
    Text(Kind, u64),
    Read {
        path: String,
        bytes: u64,
    },
    /// Some lines of a file, those from `at` on, and what takes their place.
    Edit {
        path: String,
        file: &'w [Line],
        at: usize,
        old: &'w [Line],
        new: &'w [Line],
    },
    Write {
        path: String,
    },
    Files(u64),
    Todos,
    Task {
        id: u64,
        is_new: bool,
    },
    Web {
        url: String,
        bytes: u64,
    },
    Skill(&'static str),
    /// A subagent of a type.
    Agent(&'static str),
}

/// What a call returned.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    /// What the model reads: a JSON value.
    pub(crate) content: String,
    /// `toolUseResult`: a JSON value.
    pub(crate) response: String,
    pub(crate) millitokens: u64,
}

/// Tools by how often they are called.
const OFTEN: [(&str, u64); 11] = [
    ("Bash", 30),
    ("Read", 28),
    ("Edit", 15),
    ("Grep", 10),
    ("Glob", 4),
    ("Write", 3),
    ("Todo", 3),
    ("WebFetch", 2),
    ("Skill", 1),
    ("mcp__github__search_code", 2),
    ("mcp__tracker__list", 2),
];

pub(crate) const AGENT_TYPES: [&str; 4] = ["Explore", "general-purpose", "Plan", "code-reviewer"];
/// Skills, and how many bytes their texts have.
pub(crate) const SKILLS: [(&str, u64); 3] = [("release", 7_000), ("review-pr", 9_000), ("changelog", 11_000)];

/// What calls depend on besides chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'s> {
    pub(crate) era: Era,
    pub(crate) version: (u64, u64, u64),
    pub(crate) project: &'s str,
    /// Bytes of a usual result.
    pub(crate) bytes: u64,
}

/// A call of some tool that needs no other conversation.
pub(crate) fn any_call<'w>(
    setting: Setting<'_>,
    tasks: &mut u64,
    words: &'w Words,
    chance: &mut Chance,
) -> Call<'w> {
    let tool = chance.weighted(&OFTEN);
    call(tool, setting, tasks, words, chance)
}

/// A call of a tool by its name; `Todo` is the one that the client has for its list of tasks.
pub(crate) fn call<'w>(
    tool: &'static str,
    setting: Setting<'_>,
    tasks: &mut u64,
    words: &'w Words,
    chance: &mut Chance,
) -> Call<'w> {
    let bytes = chance.around(setting.bytes, 4).clamp(40, 26_000);
    let path = format!("{}/src/{}.rs", setting.project, name(chance));
    let mut millitokens = 4_000;
    let mut text = |kind, bytes, chance: &mut Chance| {
        let lines = words.passage(kind, bytes, chance);
        millitokens += self::millitokens(lines);
        let mut text = String::new();
        push_lines(&mut text, lines);
        text
    };
    let (tool, input, what) = match tool {
        "Bash" => {
            let command =
                format!("cargo {} --{} 2>&1 | tail -{}", word(chance), word(chance), chance.between(9, 99));
            let about = text(Kind::Prose, 30, chance);
            let input = format!("{{\"command\":\"{command}\",\"description\":\"{about}\"}}");
            (tool, input, What::Text(Kind::Log, bytes))
        }
        "Read" => (tool, format!("{{\"file_path\":\"{path}\"}}"), What::Read { path, bytes }),
        "Edit" => {
            let file = words.passage(Kind::Code, bytes + 400, chance);
            let at = file.len() / 2;
            let old = &file[at..(at + 1 + chance.below(6) as usize).min(file.len())];
            let new = words.passage(Kind::Code, bytes / 8, chance);
            millitokens += self::millitokens(old) + self::millitokens(new);
            let (before, after) = (joined(old), joined(new));
            let input = format!(
                "{{\"replace_all\":false,\"file_path\":\"{path}\",\"old_string\":\"{before}\",\"new_string\":\"{after}\"}}"
            );
            (tool, input, What::Edit { path, file, at, old, new })
        }
        "Write" => {
            let content = text(Kind::Code, bytes, chance);
            (tool, format!("{{\"file_path\":\"{path}\",\"content\":\"{content}\"}}"), What::Write { path })
        }
        "Glob" => (tool, format!("{{\"pattern\":\"**/{}*.rs\"}}", word(chance)), What::Files(bytes / 60 + 1)),
        "Todo" if setting.era <= Era::Flat => {
            let mut input = String::from("{\"todos\":[");
            let current = chance.below(3);
            for item in 0..3 {
                let status = ["completed", "in_progress", "pending"]
                    [usize::from(item >= current) + usize::from(item > current)];
                let content = format!("{} the {}", word(chance), word(chance));
                let comma = if item > 0 { "," } else { "" };
                let active = word(chance);
                push(
                    &mut input,
                    &[
                        comma,
                        "{\"content\":\"",
                        &content,
                        "\",\"status\":\"",
                        status,
                        "\",\"activeForm\":\"",
                        active,
                        "\"}",
                    ],
                );
            }
            input.push_str("]}");
            ("TodoWrite", input, What::Todos)
        }
        "Todo" if *tasks == 0 || chance.percent(40) => {
            *tasks += 1;
            let about = text(Kind::Prose, 40, chance);
            let input = format!(
                "{{\"subject\":\"{} the {}\",\"description\":\"{about}\"}}",
                word(chance),
                word(chance)
            );
            ("TaskCreate", input, What::Task { id: *tasks, is_new: true })
        }
        "Todo" => {
            let status = chance.pick(&["in_progress", "completed"]);
            let id = *tasks;
            (
                "TaskUpdate",
                format!("{{\"taskId\":\"{id}\",\"status\":\"{status}\"}}"),
                What::Task { id, is_new: false },
            )
        }
        "WebFetch" => {
            let url = format!("https://example.com/{}/{}", word(chance), word(chance));
            let prompt = text(Kind::Prose, 60, chance);
            (tool, format!("{{\"url\":\"{url}\",\"prompt\":\"{prompt}\"}}"), What::Web { url, bytes })
        }
        "Skill" => {
            let (skill, _) = chance.pick(&SKILLS);
            (tool, format!("{{\"skill\":\"{skill}\"}}"), What::Skill(skill))
        }
        "Agent" => {
            let kind = chance.pick(&AGENT_TYPES);
            let about = text(Kind::Prose, 30, chance);
            let prompt = text(Kind::Prose, 600, chance);
            let input = format!(
                "{{\"description\":\"{about}\",\"prompt\":\"{prompt}\",\"subagent_type\":\"{kind}\"}}"
            );
            (if setting.era <= Era::Flat { "Task" } else { "Agent" }, input, What::Agent(kind))
        }
        "Grep" => {
            let input = format!(
                "{{\"pattern\":\"{}\",\"path\":\"{}\",\"output_mode\":\"content\"}}",
                name(chance),
                setting.project
            );
            (tool, input, What::Text(Kind::Places, bytes))
        }
        _ => {
            let input = format!(
                "{{\"query\":\"{} {}\",\"page\":{}}}",
                word(chance),
                word(chance),
                chance.between(1, 9)
            );
            (tool, input, What::Text(Kind::Records, bytes))
        }
    };
    if millitokens == 4_000 || tool == "Bash" {
        millitokens += approximate_millitokens(&input) * 6 / 10;
    }
    Call { id: format!("toolu_01{}", chance.letters(22)), tool, input, millitokens, what }
}

impl Call<'_> {
    /// The type of the subagent that the call starts.
    pub(crate) fn agent_type(&self) -> Option<&'static str> {
        match self.what {
            What::Agent(kind) => Some(kind),
            _ => None,
        }
    }

    /// The skill that the call loads.
    pub(crate) fn skill(&self) -> Option<&'static str> {
        match self.what {
            What::Skill(skill) => Some(skill),
            _ => None,
        }
    }

    /// What it returns. The call of a subagent is answered by [`report`].
    pub(crate) fn run(&self, setting: Setting<'_>, words: &Words, chance: &mut Chance) -> Returned {
        match &self.what {
            What::Text(kind, bytes) => {
                let lines = words.passage(*kind, *bytes, chance);
                let text = joined(lines);
                let content = format!("\"{text}\"");
                let response = match self.tool {
                    "Bash" => format!(
                        "{{\"stdout\":\"{text}\",\"stderr\":\"\",\"interrupted\":false,\"isImage\":false}}"
                    ),
                    "Grep" => {
                        let count = lines.len();
                        format!(
                            "{{\"mode\":\"content\",\"numFiles\":0,\"filenames\":[],\"content\":\"{text}\",\"numLines\":{count}}}"
                        )
                    }
                    _ => {
                        let blocks = format!("[{{\"type\":\"text\",\"text\":\"{text}\"}}]");
                        return Returned {
                            content: blocks.clone(),
                            response: blocks,
                            millitokens: millitokens(lines),
                        };
                    }
                };
                Returned { content, response, millitokens: millitokens(lines) }
            }
            What::Read { path, bytes } => read(path, words.passage(Kind::Code, *bytes, chance), setting),
            What::Edit { path, file, at, old, new } => edit(path, file, *at, old, new, setting),
            What::Write { path } => {
                let content = format!("File created successfully at: {path}{}", still_known(setting.era));
                let text =
                    &self.input[self.input.find("\"content\":").map_or(1, |at| at)..self.input.len() - 1];
                let response = format!(
                    "{{\"type\":\"create\",\"filePath\":\"{path}\",{text},\"structuredPatch\":[],\"originalFile\":null}}"
                );
                sentence(&content, response)
            }
            What::Files(count) => {
                let files: Vec<String> =
                    (0..*count).map(|_| format!("{}/src/{}.rs", setting.project, name(chance))).collect();
                let text = files.join("\\n");
                let millitokens = files.iter().map(|file| approximate_millitokens(file) + 1_000).sum();
                let response = format!(
                    "{{\"filenames\":[\"{}\"],\"durationMs\":12,\"numFiles\":{count},\"truncated\":false}}",
                    files.join("\",\"")
                );
                Returned { content: format!("\"{text}\""), response, millitokens }
            }
            What::Todos => {
                let todos = &self.input[1..self.input.len() - 1].replace("\"todos\":", "\"newTodos\":");
                sentence(
                    "Todos have been modified successfully. Ensure that you continue to use the todo list to track your progress. Please proceed with the current tasks if applicable",
                    format!("{{\"oldTodos\":[],{todos}}}"),
                )
            }
            What::Task { id, is_new: true } => {
                let subject = &self.input[12..self.input[12..].find('"').map_or(12, |end| end + 12)];
                let response = format!("{{\"task\":{{\"id\":\"{id}\",\"subject\":\"{subject}\"}}}}");
                sentence(&format!("Task #{id} created successfully: {subject}"), response)
            }
            What::Task { id, is_new: false } => {
                let response =
                    format!("{{\"success\":true,\"taskId\":\"{id}\",\"updatedFields\":[\"status\"]}}");
                sentence(&format!("Updated task #{id} status"), response)
            }
            What::Web { url, bytes } => {
                let lines = words.passage(Kind::Prose, *bytes / 2, chance);
                let text = joined(lines);
                let response = format!(
                    "{{\"bytes\":{bytes},\"code\":200,\"codeText\":\"OK\",\"result\":\"{text}\",\"durationMs\":900,\"url\":\"{url}\"}}"
                );
                Returned { content: format!("\"{text}\""), response, millitokens: millitokens(lines) }
            }
            What::Skill(skill) => sentence(
                &format!("Launching skill: {skill}"),
                format!("{{\"success\":true,\"commandName\":\"{skill}\"}}"),
            ),
            What::Agent(_) => Returned::default(),
        }
    }
}

/// What the call of a subagent returns: its report. The usage in it is that of its last response and is counted elsewhere.
pub(crate) fn report(
    agent: &str,
    kind: &str,
    text: &[Line],
    last_usage: &str,
    last_tokens: u64,
    calls: u64,
) -> Returned {
    let written = joined(text);
    let content = format!(
        "[{{\"type\":\"text\",\"text\":\"{written}\"}},{{\"type\":\"text\",\"text\":\"agentId: {agent} (use SendMessage with to: '{agent}' to continue this agent)\"}}]"
    );
    let response = format!(
        "{{\"status\":\"completed\",\"agentId\":\"{agent}\",\"agentType\":\"{kind}\",\"content\":[{{\"type\":\"text\",\"text\":\"{written}\"}}],\"totalDurationMs\":9100,\"totalTokens\":{last_tokens},\"totalToolUseCount\":{calls},\"usage\":{last_usage}}}"
    );
    Returned { content, response, millitokens: millitokens(text) + 40_000 }
}

fn joined(lines: &[Line]) -> String {
    let mut text = String::new();
    push_lines(&mut text, lines);
    text
}

/// What the client of today says behind an edit.
fn still_known(era: Era) -> &'static str {
    if era >= Era::Middle {
        " (file state is current in your context — no need to Read it back)"
    } else {
        ""
    }
}

fn sentence(text: &str, response: String) -> Returned {
    Returned { content: format!("\"{text}\""), response, millitokens: approximate_millitokens(text) }
}

/// Lines with their numbers, as the client of the time shows them, and the tokens of that.
fn numbered(text: &mut String, lines: &[Line], first: usize, era: Era) -> u64 {
    for (number, line) in (first..).zip(lines) {
        if number > first {
            text.push_str("\\n");
        }
        // Writing to a string cannot fail.
        let _written = match era {
            Era::Early | Era::Flat => write!(text, "{number:>6}→"),
            Era::Middle | Era::Current => write!(text, "{number}\\t"),
        }
        .is_ok();
        text.push_str(&line.escaped);
    }
    let each = if era <= Era::Flat { 3_000 } else { 1_600 };
    millitokens(lines) + lines.len() as u64 * each
}

fn read(path: &str, lines: &[Line], setting: Setting<'_>) -> Returned {
    let (count, text) = (lines.len(), joined(lines));
    let mut content = String::from("\"");
    let mut millitokens = numbered(&mut content, lines, 1, setting.era);
    if setting.version < (2, 1, 39) {
        content.push_str(REMINDER);
        millitokens += REMINDER_MILLITOKENS;
    }
    content.push('"');
    let response = format!(
        "{{\"type\":\"text\",\"file\":{{\"filePath\":\"{path}\",\"content\":\"{text}\",\"numLines\":{count},\"startLine\":1,\"totalLines\":{count}}}}}"
    );
    Returned { content, response, millitokens }
}

/// The client's record of an edit has the whole file; the model reads a sentence, or of older clients the lines around it.
fn edit(path: &str, file: &[Line], at: usize, old: &[Line], new: &[Line], setting: Setting<'_>) -> Returned {
    let mut response = format!("{{\"filePath\":\"{path}\",\"oldString\":\"");
    push_lines(&mut response, old);
    response.push_str("\",\"newString\":\"");
    push_lines(&mut response, new);
    response.push_str("\",\"originalFile\":\"");
    push_lines(&mut response, file);
    let (line, removed, added) = (at + 1, old.len(), new.len());
    // Writing to a string cannot fail.
    let _written = write!(
        response,
        "\",\"structuredPatch\":[{{\"oldStart\":{line},\"oldLines\":{removed},\"newStart\":{line},\"newLines\":{added},\"lines\":["
    )
    .is_ok();
    let changes = old.iter().map(|line| ("-", line)).chain(new.iter().map(|line| ("+", line)));
    for (number, (sign, line)) in changes.enumerate() {
        push(&mut response, &[if number > 0 { ",\"" } else { "\"" }, sign, &line.escaped, "\""]);
    }
    response.push_str("]}],\"userModified\":false,\"replaceAll\":false}");
    if setting.version >= (2, 1, 5) {
        let text = format!("The file {path} has been updated successfully.{}", still_known(setting.era));
        return sentence(&text, response);
    }
    let mut content = format!(
        "\"The file {path} has been updated. Here's the result of running `cat -n` on a snippet of the edited file:\\n"
    );
    let before = &file[at.saturating_sub(4)..at];
    let after = &file[at + removed..(at + removed + 4).min(file.len())];
    let mut number = at - before.len() + 1;
    let mut tokens = 30_000;
    for part in [before, new, after] {
        tokens += numbered(&mut content, part, number, setting.era);
        content.push_str("\\n");
        number += part.len();
    }
    content.push('"');
    Returned { content, response, millitokens: tokens }
}
