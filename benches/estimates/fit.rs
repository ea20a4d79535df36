//! A robust line through gaps: a slope for what tiktoken counts, and tokens for each call.

use std::collections::HashMap;

/// Gaps of one session that count in full; with more, each counts for less, or one long session would decide.
const GAPS_OF_A_SESSION: f64 = 30.0;
/// Standard deviations of surprise from which on a gap pulls no harder: few, for words of the client that a transcript does not show only add.
const HUBER: f64 = 1.0;
/// Noise of a gap, in tokens and as a share.
const NOISE: (f64, f64) = (15.0, 0.07);
/// Standard deviations of the figures to begin with.
const DOUBT: (f64, f64) = (0.15, 15.0);

/// A gap.
pub(crate) struct Point {
    pub(crate) session: String,
    pub(crate) tokens: f64,
    pub(crate) calls: f64,
    pub(crate) growth: f64,
}

/// `slope × tokens + per_call × calls`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) slope: f64,
    pub(crate) per_call: f64,
}

/// Iteratively reweighted least squares, with `known` as its regularisation.
pub(crate) fn fit(points: &[Point], known: Line) -> Line {
    let mut gaps: HashMap<&str, f64> = HashMap::new();
    points.iter().for_each(|point| *gaps.entry(&point.session).or_default() += 1.0);
    let mut line = known;
    for _ in 0..30 {
        let doubt = (DOUBT.0.powi(-2), DOUBT.1.powi(-2));
        let (mut tt, mut tc, mut cc) = (doubt.0, 0.0, doubt.1);
        let (mut ty, mut cy) = (doubt.0 * known.slope, doubt.1 * known.per_call);
        for point in points {
            let expected = line.slope * point.tokens + line.per_call * point.calls;
            let noise = NOISE.0.hypot(NOISE.1 * expected.max(point.growth));
            let surprise = (point.growth - expected).abs() / noise;
            let share = (GAPS_OF_A_SESSION / gaps[point.session.as_str()]).min(1.0);
            let weight = share * (HUBER / surprise.max(1e-9)).min(1.0) / (noise * noise);
            tt += weight * point.tokens * point.tokens;
            tc += weight * point.tokens * point.calls;
            cc += weight * point.calls * point.calls;
            ty += weight * point.tokens * point.growth;
            cy += weight * point.calls * point.growth;
        }
        let determinant = tt * cc - tc * tc;
        line = Line { slope: (ty * cc - cy * tc) / determinant, per_call: (cy * tt - ty * tc) / determinant };
    }
    line
}
