//! Plays gaps in the order of time: estimate from the payloads first, learn from what it came to afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};

use tallyhook::domain::{ModelId, ToolKind};
use tallyhook::estimate;
use tallyhook::estimate::calibrate::{Added, Calibration, Tokenizer};
use tallyhook::estimate::subagents::defaults_for;
use tallyhook_counter::Encoding;

use super::fit::{Line, Point, fit};
use super::transcript::{Call, File, Gap};

/// Sessions with fewer calls say little.
pub(crate) const MIN_CALLS: u64 = 20;

/// When a session's own gaps may be learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learning {
    /// Never: estimates are those of the priors.
    Never,
    /// When a turn has ended, which is when the hook reads the transcript.
    AtTurnEnds,
    /// As the hook does it: when a response's calls have run, it reads the transcript, which ends with that response. So the
    /// calls of one response are estimated with all but the gap that this response was the first to read.
    AsTheHook,
    /// As soon as the response that reads a gap is there.
    AtOnce,
}

/// What was estimated for a gap, and what it came to. In tokens.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) repository: String,
    pub(crate) session: String,
    pub(crate) model: String,
    pub(crate) calls: u64,
    /// Sum of the calls' estimates.
    pub(crate) estimated: u64,
    /// What was foreseen to come with so many calls though they did not return it.
    pub(crate) surplus: u64,
    /// What came besides the calls' estimates, as the transcript shows it afterwards; negative where a guess was too
    /// high.
    pub(crate) told: i64,
    pub(crate) growth: u64,
    /// tiktoken's count of the results.
    pub(crate) tiktoken: u64,
    /// Characters of the payload's response, divided by four.
    pub(crate) quarter: u64,
    /// Whether the transcript shows no words of the client's own.
    pub(crate) alone: bool,
}

impl Outcome {
    /// The estimate of all that comes in, made when nothing but the payloads is known.
    pub(crate) fn foreseen(&self) -> u64 {
        self.estimated + self.surplus
    }

    /// The calls' estimates, and beside them what the client is seen to have put in.
    pub(crate) fn explained(&self) -> u64 {
        self.estimated.saturating_add_signed(self.told)
    }
}

/// A call as the estimator sees it, counted once and for all.
struct Counted {
    id: String,
    kind: ToolKind,
    raw: u64,
    chars: u64,
}

struct Prepared<'g> {
    file: &'g File,
    gap: &'g Gap,
    calls: Vec<Counted>,
}

/// Gaps of all files, counted, each once, in the order of time.
pub(crate) struct Replay<'g> {
    gaps: Vec<Prepared<'g>>,
}

impl<'g> Replay<'g> {
    pub(crate) fn new(files: &'g [File]) -> Self {
        let mut all: Vec<(&File, &Gap)> =
            files.iter().flat_map(|file| file.gaps.iter().map(move |gap| (file, gap))).collect();
        all.sort_by(|left, right| left.1.at.cmp(&right.1.at));
        let mut seen = HashSet::new();
        all.retain(|(_, gap)| seen.insert(&gap.reader));
        let prepare = |(file, gap): (&'g File, &'g Gap)| Prepared {
            file,
            gap,
            // What is left out, and teaches nothing, is needed for its time alone.
            calls: if gap.excluded.is_none() || wrote(gap) {
                gap.calls.iter().map(count).collect()
            } else {
                Vec::new()
            },
        };
        Self { gaps: all.into_iter().map(prepare).collect() }
    }

    /// The figures that fit the repositories other than `left_out` best, by tokenizer.
    pub(crate) fn priors(&self, left_out: Option<&str>) -> BTreeMap<&'static str, Line> {
        let mut points: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
        for prepared in self.gaps.iter().filter(|prepared| prepared.gap.excluded.is_none()) {
            let Some(sample) = &prepared.gap.sample else { continue };
            if left_out != Some(prepared.file.repository.as_str()) {
                let name = generation(&prepared.gap.model);
                let tokens = prepared.calls.iter().fold(sample.for_calls, |sum, call| sum + call.raw);
                points.entry(name).or_default().push(Point {
                    session: prepared.file.session.clone(),
                    tokens: tokens as f64,
                    calls: prepared.calls.len() as f64,
                    growth: prepared.gap.growth as f64 - neutral(name).slope * sample.words as f64,
                });
            }
        }
        points.into_iter().map(|(name, points)| (name, fit(&points, neutral(name)))).collect()
    }

    /// Plays everything. Each repository has a ledger of its own that begins with the priors of the others.
    pub(crate) fn play(&self, learning: Learning) -> Vec<Outcome> {
        let repositories: HashSet<&str> =
            self.gaps.iter().map(|prepared| prepared.file.repository.as_str()).collect();
        let mut repositories: Vec<&str> = repositories.into_iter().collect();
        repositories.sort_unstable();
        repositories.into_iter().flat_map(|repository| self.play_one(repository, learning)).collect()
    }

    fn play_one(&self, repository: &str, learning: Learning) -> Vec<Outcome> {
        let priors = self.priors(Some(repository));
        let mut ledger: HashMap<&str, Calibration> = HashMap::new();
        let mut sessions: HashSet<(&str, &str)> = HashSet::new();
        let mut pending: HashMap<&str, Vec<&Prepared<'_>>> = HashMap::new();
        let mut unread: Vec<&Prepared<'_>> = Vec::new();
        let mut outcomes = Vec::new();
        for prepared in self.gaps.iter().filter(|prepared| prepared.file.repository == repository) {
            let (gap, session) = (prepared.gap, prepared.file.session.as_str());
            for read in unread.extract_if(.., |earlier| earlier.gap.reader != gap.maker) {
                if let Some(calibration) = ledger.get_mut(read.gap.model.as_str()) {
                    learn(calibration, read);
                }
            }
            let model = gap.model.as_str();
            let calibration = ledger.entry(model).or_insert_with(|| {
                let name = generation(&gap.model);
                let line = priors.get(name).copied().unwrap_or_else(|| neutral(name));
                Calibration::uniform(&gap.model, line.slope, line.per_call)
            });
            if sessions.insert((session, model)) {
                calibration.begin_session();
            }
            if gap.excluded.is_none() {
                outcomes.push(outcome(calibration, prepared));
            }
            match learning {
                Learning::Never => {}
                Learning::AsTheHook => unread.push(prepared),
                Learning::AtOnce => learn(calibration, prepared),
                Learning::AtTurnEnds => {
                    let waiting = pending.entry(session).or_default();
                    waiting.push(prepared);
                    if gap.ends_turn {
                        for prepared in std::mem::take(waiting) {
                            if let Some(calibration) = ledger.get_mut(prepared.gap.model.as_str()) {
                                learn(calibration, prepared);
                            }
                        }
                    }
                }
            }
        }
        outcomes
    }
}

/// The name of a model's tokenizer.
fn generation(model: &ModelId) -> &'static str {
    match Tokenizer::of(model) {
        Tokenizer::Tiktoken => "tiktoken",
        Tokenizer::Claude4 => "Claude 4",
        Tokenizer::Claude5 => "Claude 5",
    }
}

/// Where a fit begins: the figures that were known before (`docs/facts.md#claudes-tokenizers`).
fn neutral(generation: &str) -> Line {
    match generation {
        "Claude 4" => Line { slope: 1.16, per_call: 20.0 },
        "Claude 5" => Line { slope: 1.7, per_call: 20.0 },
        _ => Line { slope: 1.0, per_call: 10.0 },
    }
}

fn count(call: &Call) -> Counted {
    let returned = call.with_view(|view| {
        estimate::returned(Encoding::Cl100kBase, view, |name| {
            defaults_for(name, &BTreeMap::default()).returned
        })
    });
    Counted {
        id: call.id.clone(),
        kind: call.tool.kind(),
        raw: returned.tokens,
        chars: call.response_chars(),
    }
}

/// What came in, as the program finds it in the transcript; the results as they were counted for the estimate.
fn added(prepared: &Prepared<'_>) -> Option<Added> {
    let counted = |id: &str| prepared.calls.iter().find(|call| call.id == id).map(|call| call.raw);
    prepared.gap.sample.as_ref().map(|sample| sample.added(|call| counted(call.as_str())))
}

fn learn(calibration: &mut Calibration, prepared: &Prepared<'_>) {
    let gap = prepared.gap;
    if let (Some(written), true) = (gap.written, gap.complete) {
        calibration.learn_written(written, gap.calls.len() as u64, gap.output);
    }
    match (gap.excluded, added(prepared), &gap.sample) {
        (None, Some(added), _) => calibration.learn(&added, gap.growth.unsigned_abs()),
        (Some(_), Some(added), Some(sample)) if wrote(gap) => calibration.learn(&added, sample.growth),
        _ => {}
    }
}

/// Whether it is of a response of calls alone whose output was not logged whole: it teaches, and is compared with nothing.
fn wrote(gap: &Gap) -> bool {
    gap.sample.as_ref().is_some_and(|sample| sample.wrote.is_some())
}

fn outcome(calibration: &Calibration, prepared: &Prepared<'_>) -> Outcome {
    let calls = prepared.calls.len() as u64;
    Outcome {
        repository: prepared.file.repository.clone(),
        session: prepared.file.session.clone(),
        model: prepared.gap.model.as_str().to_owned(),
        calls,
        estimated: prepared.calls.iter().map(|call| calibration.estimate(call.kind, call.raw)).sum(),
        surplus: calibration.surplus() * calls,
        told: added(prepared).map_or(0, |added| calibration.told(&added)),
        growth: prepared.gap.growth.unsigned_abs(),
        tiktoken: prepared.calls.iter().map(|call| call.raw).sum(),
        quarter: prepared.calls.iter().map(|call| call.chars / 4).sum(),
        alone: prepared.gap.sample.as_ref().is_some_and(|sample| sample.words + sample.for_calls == 0),
    }
}

/// How far sums are off, session by session: (session, model, calls, growth, error as a fraction with its sign).
pub(crate) fn sessions(
    outcomes: &[Outcome],
    estimate: impl Fn(&Outcome) -> u64,
) -> Vec<(String, String, u64, u64, f64)> {
    let mut sums: BTreeMap<(&str, &str), (String, u64, u64, u64)> = BTreeMap::new();
    for outcome in outcomes {
        let sum = sums.entry((&outcome.repository, &outcome.session)).or_default();
        sum.0.clone_from(&outcome.model);
        sum.1 += outcome.calls;
        sum.2 += estimate(outcome);
        sum.3 += outcome.growth;
    }
    let rows = sums.into_iter().filter(|(_, sum)| sum.1 >= MIN_CALLS);
    rows.map(|((_, session), (model, calls, estimated, growth))| {
        (session.to_owned(), model, calls, growth, estimated as f64 / growth as f64 - 1.0)
    })
    .collect()
}

/// How far each gap is off, as a fraction of its growth, without sign.
pub(crate) fn gap_errors(outcomes: &[Outcome], estimate: impl Fn(&Outcome) -> u64) -> Vec<f64> {
    let error = |outcome: &Outcome| (estimate(outcome) as f64 / outcome.growth as f64 - 1.0).abs();
    outcomes.iter().map(error).collect()
}

/// The value below which a share of `values` lies, between the two nearest ones; 0 of none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = share * values.len().saturating_sub(1) as f64;
    let value = |at: f64| values.get(at as usize).copied().unwrap_or(0.0);
    value(at.floor()) + (value(at.ceil()) - value(at.floor())) * at.fract()
}
