//! A linear fit that takes one observation at a time: recursive least squares, written as a Kalman filter.
//!
//! What it holds is a mean for each coefficient and how sure it is of them. It cannot be led far astray: an
//! observation that is off by more than its noise explains is weighed down (Huber's rule), coefficients stay within
//! their limits, and certainty never falls below that of the prior nor grows for ever.

/// Standard deviations of surprise from which on an observation counts for less and less.
const HUBER: f64 = 1.6;
/// Standard deviations from which on it counts for nothing: it was something else than what it was taken for.
const ABSURD: f64 = 40.0;

/// Where a fit of `N` coefficients begins, and between which limits it stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prior<const N: usize> {
    pub(super) means: [f64; N],
    /// Standard deviation of each coefficient by itself.
    pub(super) own: [f64; N],
    /// Standard deviation of what coefficients have in common, each multiplied by this.
    pub(super) shared: [f64; N],
    /// Lowest and highest value of each.
    pub(super) limits: [(f64, f64); N],
}

impl<const N: usize> Prior<N> {
    fn covariance(&self) -> [[f64; N]; N] {
        let mut covariance = [[0.0; N]; N];
        for (row, values) in covariance.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                let own = if row == column { self.own[row] * self.own[row] } else { 0.0 };
                *value = self.shared[row] * self.shared[column] + own;
            }
        }
        covariance
    }
}

/// What was learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LearnedCoefficients<const N: usize> {
    pub(super) means: [f64; N],
    /// Covariance of the means.
    covariance: [[f64; N]; N],
}

impl<const N: usize> LearnedCoefficients<N> {
    pub(super) fn new(prior: &Prior<N>) -> Self {
        Self { means: prior.means, covariance: prior.covariance() }
    }

    pub(super) fn predict(&self, inputs: &[f64; N]) -> f64 {
        dot(&self.means, inputs)
    }

    /// Learns that `inputs` gave `observed`; `noise` is the standard deviation to be expected with right coefficients.
    pub(super) fn learn(&mut self, inputs: &[f64; N], observed: f64, noise: f64, prior: &Prior<N>) {
        let surprise = observed - self.predict(inputs);
        let spread = self.covariance.map(|row| dot(&row, inputs));
        let known = dot(&spread, inputs).max(0.0);
        let expected = (known + noise * noise).sqrt();
        let deviations = surprise.abs() / expected;
        if !deviations.is_finite() || deviations > ABSURD {
            return;
        }
        // Huber's weight: beyond the limit an observation pulls no harder than at it.
        let noise = noise * (deviations / HUBER).max(1.0);
        let total = known + noise * noise;
        let gain = spread.map(|value| value / total);
        for (row, values) in self.covariance.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                *value -= gain[row] * spread[column];
            }
        }
        for (mean, gain) in self.means.iter_mut().zip(gain) {
            *mean += gain * surprise;
        }
        self.keep_within(prior);
    }

    /// Forgets a share of what it is sure of: `share` of the prior's variance comes back.
    pub(super) fn forget(&mut self, share: f64, prior: &Prior<N>) {
        let fresh = prior.covariance();
        for (row, fresh) in self.covariance.iter_mut().zip(fresh) {
            for (value, fresh) in row.iter_mut().zip(fresh) {
                *value += share * fresh;
            }
        }
        self.keep_within(prior);
    }

    /// Whatever came in, from a log or from a ledger that somebody edited: numbers that make sense remain.
    fn keep_within(&mut self, prior: &Prior<N>) {
        for ((mean, (low, high)), usual) in self.means.iter_mut().zip(prior.limits).zip(prior.means) {
            *mean = if mean.is_finite() { mean.clamp(low, high) } else { usual };
        }
        let fresh = prior.covariance();
        let scale: [f64; N] = std::array::from_fn(|at| {
            let (value, most) = (self.covariance[at][at], fresh[at][at]);
            if value > most { (most / value).sqrt() } else { 1.0 }
        });
        for row in 0..N {
            for column in 0..=row {
                let pair = (self.covariance[row][column] + self.covariance[column][row]) / 2.0;
                let value = pair * scale[row] * scale[column];
                self.covariance[row][column] = value;
                self.covariance[column][row] = value;
            }
        }
        let is_sound = self.covariance.iter().flatten().all(|value| value.is_finite())
            && (0..N).all(|at| self.covariance[at][at] >= 0.0);
        if !is_sound {
            self.covariance = fresh;
        }
    }

    /// The numbers it consists of: the means, then the lower half of the covariance, row by row. Seven digits are
    /// enough and keep the text short.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let half = (0..N).flat_map(|row| (0..=row).map(move |column| self.covariance[row][column]));
        self.means.into_iter().chain(half).map(short).collect()
    }

    /// Puts it together again; `None` if `numbers` are not those of a fit of this size.
    pub(super) fn from_numbers(numbers: &[f64], prior: &Prior<N>) -> Option<Self> {
        if numbers.len() != N + N * (N + 1) / 2 || numbers.iter().any(|number| !number.is_finite()) {
            return None;
        }
        let mut filter = Self::new(prior);
        let (means, mut half) = numbers.split_at(N);
        filter.means.copy_from_slice(means);
        for row in 0..N {
            let (values, rest) = half.split_at(row + 1);
            half = rest;
            for (column, value) in values.iter().enumerate() {
                filter.covariance[row][column] = *value;
                filter.covariance[column][row] = *value;
            }
        }
        // No correlation above one, or a single observation could throw all means about.
        for row in 0..N {
            for column in 0..row {
                let most = (filter.covariance[row][row] * filter.covariance[column][column]).max(0.0).sqrt();
                let value = filter.covariance[row][column].clamp(-most, most);
                filter.covariance[row][column] = value;
                filter.covariance[column][row] = value;
            }
        }
        filter.keep_within(prior);
        Some(filter)
    }
}

fn dot<const N: usize>(left: &[f64; N], right: &[f64; N]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Rounded to seven significant digits.
pub(super) fn short(number: f64) -> f64 {
    format!("{number:.6e}").parse().ok().filter(|short: &f64| short.is_finite()).unwrap_or(0.0)
}
