//! The load that streams: some connections, on each the same request again and again, some of them in flight.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::ask::{HEAD_BYTES, Question, Work, judge, question};
use crate::cue::Cues;
use crate::dial::Door;
use crate::intake::Intake;
use crate::outcome::{Latencies, Outcome, latencies, record};
use crate::pace::{Beats, Interval, Pace};

/// Smaller requests are copied together, so that several leave in one write.
const COPIED_BYTES_MAX: usize = 32 * 1024;
/// Records are written from one piece of this length, again and again.
const PIECE_BYTES: usize = 1024 * 1024;
/// What a slow reader takes at once,
const SIP_BYTES: usize = 16 * 1024;
/// and how long it then waits.
const PAUSE: Duration = Duration::from_millis(10);

/// How a connection takes its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As fast as it can.
    Quick,
    /// The answer to one request, a little at a time, until the quick ones are done. It is judged, not counted.
    Slow,
}

/// What one connection does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is asked.
    pub work: Work,
    /// Requests that wait for their answer.
    pub in_flight: usize,
    /// At most so many requests,
    pub requests: u64,
    /// and no new ones after this time.
    pub duration: Duration,
    /// Requests before the measured ones.
    pub warm_up: u64,
    /// How answers are taken.
    pub reading: Reading,
}

/// How many of these connections are quick.
fn quick(plans: &[Plan]) -> usize {
    plans.iter().filter(|plan| plan.reading == Reading::Quick).count()
}

/// Runs a connection for each plan. The quick ones share the rate of `pace`, each with as many requests at once as may be
/// in flight. Hands out the connections as well, so that their end is not part of what is measured.
pub fn run(door: &Door, plans: &[Plan], pace: Pace, cues: Cues) -> Result<(Outcome, Vec<Intake>)> {
    let longest = plans.iter().map(|plan| plan.work.payload_bytes).max().unwrap_or(0);
    let records = vec![0x5a; longest.min(PIECE_BYTES)];
    let (opened, go) = (Barrier::new(plans.len() + 1), Barrier::new(plans.len() + 1));
    let failed = AtomicBool::new(false);
    let interval = Interval::new(pace)?;
    let quick_left = AtomicUsize::new(quick(plans));
    let live = |plan: Plan, quick_before: usize| -> Result<Carried<'_>> {
        let ready = Lane::open(door, plan, &records, &interval);
        failed.fetch_or(ready.is_err(), Ordering::SeqCst);
        opened.wait();
        go.wait();
        let (mut lane, mut intake) = ready?;
        if failed.load(Ordering::SeqCst) {
            return Ok(Carried { lane, intake, ended: Ok(()) });
        }
        let ended = match plan.reading {
            Reading::Slow => lane.sip(&mut intake, &quick_left, plan.duration),
            Reading::Quick => {
                let beats = pace.beats(quick_before, quick(plans), plan.in_flight);
                let ended = beats.and_then(|beats| lane.carry_at(beats, &mut intake, plan));
                quick_left.fetch_sub(1, Ordering::SeqCst);
                ended
            }
        };
        if ended.is_err() {
            interval.failed();
        }
        Ok(Carried { lane, intake, ended })
    };
    let live = &live;
    thread::scope(|scope| {
        let (running, ended) = mpsc::channel();
        let threads: Vec<_> = (0..)
            .zip(plans)
            .map(|(place, plan)| {
                let quick_before = quick(plans.get(..place).unwrap_or_default());
                let running = running.clone();
                scope.spawn(move || {
                    let carried = live(*plan, quick_before);
                    drop(running);
                    carried
                })
            })
            .collect();
        drop(running);
        opened.wait();
        let told = if failed.load(Ordering::SeqCst) { Ok(()) } else { cues.ready() };
        interval.forget();
        let begin = Instant::now();
        go.wait();
        interval.tell_until(&ended)?;
        let mut carried = Vec::new();
        for thread in threads {
            carried.push(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        told?;
        sum(carried, begin.elapsed())
    })
}

/// What a connection's thread leaves behind.
struct Carried<'a> {
    lane: Lane<'a>,
    intake: Intake,
    ended: Result<()>,
}

fn sum(carried: Vec<Carried<'_>>, elapsed: Duration) -> Result<(Outcome, Vec<Intake>)> {
    let mut all = latencies()?;
    let (mut bytes, mut errors) = (0_u64, 0);
    let mut connections = Vec::new();
    for Carried { lane, intake, ended } in carried {
        all.add(&lane.latencies)?;
        bytes += lane.latencies.len().saturating_mul(lane.work.payload_bytes as u64);
        connections.push(intake);
        if let Err(error) = ended {
            errors += 1;
            eprintln!("load: {error:#}");
        }
    }
    Ok((Outcome::new(&all, bytes, elapsed, errors), connections))
}

/// One connection's share.
struct Lane<'a> {
    work: Work,
    question: Question,
    records: &'a [u8],
    in_flight_max: usize,
    in_flight: VecDeque<(i32, Instant)>,
    correlation: i32,
    out: Vec<u8>,
    latencies: Latencies,
    interval: &'a Interval,
    /// Since when requests that are sent now count, where not since they are sent.
    since: Option<Instant>,
}

impl<'a> Lane<'a> {
    fn new(plan: Plan, records: &'a [u8], interval: &'a Interval) -> Result<Lane<'a>> {
        Ok(Lane {
            work: plan.work,
            question: question(plan.work)?,
            records,
            in_flight_max: plan.in_flight.max(1),
            in_flight: VecDeque::with_capacity(plan.in_flight),
            correlation: 100,
            out: Vec::new(),
            latencies: latencies()?,
            interval,
            since: None,
        })
    }

    /// Opens the connection and warms it up.
    fn open(
        door: &Door,
        plan: Plan,
        records: &'a [u8],
        interval: &'a Interval,
    ) -> Result<(Lane<'a>, Intake)> {
        let mut lane = Lane::new(plan, records, interval)?;
        let mut intake = Intake::new(door.open(Some(plan.work))?);
        lane.carry(&mut intake, plan.warm_up, plan.duration)?;
        lane.latencies = latencies()?;
        Ok((lane, intake))
    }

    /// Carries what is planned; with beats, at each of them as many requests as may be in flight.
    fn carry_at(&mut self, beats: Option<Beats>, intake: &mut Intake, plan: Plan) -> Result<()> {
        let Plan { requests, duration, .. } = plan;
        let Some(mut beats) = beats else { return self.carry(intake, requests, duration) };
        let deadline = Instant::now() + duration;
        let mut left = requests;
        while left > 0
            && let Some(since) = beats.wait(deadline)
        {
            self.since = Some(since);
            let at_once = left.min(self.in_flight_max as u64);
            self.carry(intake, at_once, duration)?;
            left -= at_once;
        }
        Ok(())
    }

    /// Asks until `requests` are sent or `duration` is over, and takes what is owed.
    fn carry(&mut self, intake: &mut Intake, requests: u64, duration: Duration) -> Result<()> {
        let deadline = Instant::now() + duration;
        let mut left = requests;
        loop {
            if Instant::now() < deadline {
                while left > 0 && self.in_flight.len() < self.in_flight_max {
                    self.send(intake)?;
                    left -= 1;
                }
                intake.line().write_all_of(&[&self.out])?;
                self.out.clear();
            }
            if self.in_flight.is_empty() {
                return Ok(());
            }
            self.take(intake)?;
            while !self.in_flight.is_empty() && intake.frame_is_here() {
                self.take(intake)?;
            }
        }
    }

    fn send(&mut self, intake: &mut Intake) -> Result<()> {
        self.correlation = self.correlation.wrapping_add(1);
        self.question.number(self.correlation);
        self.in_flight.push_back((self.correlation, self.since.unwrap_or_else(Instant::now)));
        let Question { head, records_bytes, tail } = &self.question;
        if *records_bytes <= COPIED_BYTES_MAX {
            self.out.extend_from_slice(head);
            self.out.extend_from_slice(self.records.get(..*records_bytes).unwrap_or_default());
            self.out.extend_from_slice(tail);
            return Ok(());
        }
        let mut pieces: Vec<&[u8]> = vec![&self.out, head];
        let whole = records_bytes / self.records.len();
        pieces.extend(std::iter::repeat_n(self.records, whole));
        pieces.push(self.records.get(..records_bytes % self.records.len()).unwrap_or_default());
        pieces.push(tail);
        intake.line().write_all_of(&pieces)?;
        self.out.clear();
        Ok(())
    }

    /// Asks once and takes the answer slowly, until no quick connection is left.
    fn sip(&mut self, intake: &mut Intake, quick_left: &AtomicUsize, duration: Duration) -> Result<()> {
        let deadline = Instant::now() + duration;
        self.send(intake)?;
        intake.line().write_all_of(&[&self.out])?;
        self.out.clear();
        let (correlation, _) = self.in_flight.pop_front().context("nothing is owed")?;
        let (size, head) = intake.frame(HEAD_BYTES)?.context("closed with a request in flight")?;
        judge(self.work, size, head, correlation)?;
        let mut rest = size + 4;
        while rest > 0 && quick_left.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            let sip = rest.min(SIP_BYTES);
            intake.drop_bytes(sip)?;
            rest -= sip;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn take(&mut self, intake: &mut Intake) -> Result<()> {
        let (correlation, sent) = self.in_flight.pop_front().context("nothing is owed")?;
        let (size, head) = intake.frame(HEAD_BYTES)?.context("closed with requests in flight")?;
        judge(self.work, size, head, correlation)?;
        intake.drop_frame(size)?;
        let latency = sent.elapsed();
        record(&mut self.latencies, latency);
        self.interval.record(latency, self.work.payload_bytes);
        Ok(())
    }
}
