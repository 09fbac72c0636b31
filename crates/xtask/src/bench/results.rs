//! What all runs showed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::{Sample, median, median_sample};
use super::twins::Twin;

/// Samples and memory by work and twin.
#[derive(Debug, Default)]
pub(crate) struct Results {
    samples: BTreeMap<&'static str, BTreeMap<Twin, Vec<Sample>>>,
    memory_kib: BTreeMap<&'static str, BTreeMap<Twin, f64>>,
}

/// One twin's line, for the file.
#[derive(Serialize)]
pub(crate) struct Line {
    work: &'static str,
    twin: &'static str,
    median: Sample,
    rounds: Vec<Sample>,
}

/// One twin's memory, for the file.
#[derive(Serialize)]
pub(crate) struct Memory {
    work: &'static str,
    twin: &'static str,
    kib_per_connection: f64,
}

impl Results {
    /// Adds a round's sample.
    pub(crate) fn add(&mut self, work: &'static str, twin: Twin, sample: Sample) {
        self.samples.entry(work).or_default().entry(twin).or_default().push(sample);
    }

    /// Sets what was counted once and is the same in every round.
    pub(crate) fn set_instructions(&mut self, work: &'static str, twin: Twin, per_request: f64) {
        let rounds = self.samples.entry(work).or_default().entry(twin).or_default();
        if rounds.is_empty() {
            rounds.push(Sample::default());
        }
        for sample in rounds {
            sample.instructions_per_request = Some(per_request);
        }
    }

    /// Sets a memory: KiB for each connection.
    pub(crate) fn set_memory(&mut self, work: &'static str, twin: Twin, kib: f64) {
        self.memory_kib.entry(work).or_default().insert(twin, kib);
    }

    /// Whether this work was run.
    pub(crate) fn has(&self, work: &str) -> bool {
        self.samples.contains_key(work) || self.memory_kib.contains_key(work)
    }

    /// The medians of a work.
    pub(crate) fn medians(&self, work: &str) -> Vec<(Twin, Sample)> {
        let twins = self.samples.get(work).into_iter().flatten();
        twins.map(|(twin, samples)| (*twin, median_sample(samples))).collect()
    }

    /// The memory of a work.
    pub(crate) fn memory(&self, work: &str) -> Vec<(Twin, f64)> {
        self.memory_kib.get(work).into_iter().flatten().map(|(twin, kib)| (*twin, *kib)).collect()
    }

    /// The memory of a work through one twin.
    pub(crate) fn memory_kib(&self, work: &str, twin: Twin) -> Option<f64> {
        self.memory_kib.get(work)?.get(&twin).copied()
    }

    /// A twin's median of a figure.
    pub(crate) fn median(&self, work: &str, field: fn(&Sample) -> Option<f64>, twin: Twin) -> Option<f64> {
        field(&median_sample(self.samples.get(work)?.get(&twin)?))
    }

    /// A twin's figure divided by another's: the median of what that is in each round, since the machine's mood changes from
    /// one to the next.
    pub(crate) fn ratio(
        &self,
        work: &str,
        field: fn(&Sample) -> Option<f64>,
        of: Twin,
        by: Twin,
    ) -> Option<f64> {
        let twins = self.samples.get(work)?;
        let rounds = twins.get(&of)?.iter().zip(twins.get(&by)?);
        median(rounds.filter_map(|(of, by)| Some(field(of)? / field(by).filter(|divisor| *divisor > 0.0)?)))
    }

    /// Everything, for the file.
    pub(crate) fn lines(&self) -> (Vec<Line>, Vec<Memory>) {
        let lines = self.samples.iter().flat_map(|(work, twins)| {
            twins.iter().map(|(twin, samples)| Line {
                work,
                twin: twin.name(),
                median: median_sample(samples),
                rounds: samples.clone(),
            })
        });
        let memory = self.memory_kib.iter().flat_map(|(work, twins)| {
            twins.iter().map(|(twin, kib)| Memory { work, twin: twin.name(), kib_per_connection: *kib })
        });
        (lines.collect(), memory.collect())
    }
}
