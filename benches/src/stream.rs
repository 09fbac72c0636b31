//! The load that streams: some connections, on each the same request again and again, some of them in flight.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::sink::write_all_of;

/// Smaller requests are copied together, so that several leave in one write.
const COPIED_BYTES_MAX: usize = 32 * 1024;
/// Records are written from one piece of this length, again and again.
const PIECE_BYTES: usize = 1024 * 1024;

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is asked.
    pub work: Work,
    /// How many connections.
    pub connections: u32,
    /// Requests that wait for their answer on each of them.
    pub in_flight: usize,
    /// At most so many requests in all,
    pub requests: u64,
    /// and no new ones after this time.
    pub duration: Duration,
    /// Requests of each connection before the measured ones.
    pub warm_up: u64,
    /// How fast: at a rate, as many at once as may be in flight.
    pub pace: Pace,
}

/// Runs the plan. Hands out the connections as well, so that their end is not part of what is measured.
pub fn run(door: &Door, plan: Plan, cues: Cues) -> Result<(Outcome, Vec<TcpStream>)> {
    let connections = usize::try_from(plan.connections)?;
    let records = vec![0x5a; plan.work.payload_bytes.min(PIECE_BYTES)];
    let (opened, go) = (Barrier::new(connections + 1), Barrier::new(connections + 1));
    let failed = AtomicBool::new(false);
    let interval = Interval::new(plan.pace, plan.work.payload_bytes)?;
    let live = |number: u32| -> Result<Carried<'_>> {
        let ready = Lane::open(door, plan, &records, &interval);
        failed.fetch_or(ready.is_err(), Ordering::SeqCst);
        opened.wait();
        go.wait();
        let (mut lane, stream) = ready?;
        if failed.load(Ordering::SeqCst) {
            return Ok(Carried { lane, stream, ended: Ok(()) });
        }
        let requests = plan.requests.div_ceil(u64::from(plan.connections).max(1));
        let beats = plan.pace.beats(number, plan.connections, plan.in_flight)?;
        let ended = lane.carry_at(beats, &mut Intake::new(&stream), requests, plan.duration);
        if ended.is_err() {
            interval.failed();
        }
        Ok(Carried { lane, stream, ended })
    };
    thread::scope(|scope| {
        let (running, ended) = mpsc::channel();
        let live = &live;
        let threads: Vec<_> = (0..plan.connections)
            .map(|number| {
                let running = running.clone();
                scope.spawn(move || {
                    let carried = live(number);
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
        sum(carried, plan, begin.elapsed())
    })
}

/// What a connection's thread leaves behind.
struct Carried<'a> {
    lane: Lane<'a>,
    stream: TcpStream,
    ended: Result<()>,
}

fn sum(carried: Vec<Carried<'_>>, plan: Plan, elapsed: Duration) -> Result<(Outcome, Vec<TcpStream>)> {
    let mut all = latencies()?;
    let mut errors = 0;
    let mut streams = Vec::new();
    for Carried { lane, stream, ended } in carried {
        all.add(&lane.latencies)?;
        streams.push(stream);
        if let Err(error) = ended {
            errors += 1;
            eprintln!("load: {error:#}");
        }
    }
    let bytes = all.len().saturating_mul(plan.work.payload_bytes as u64);
    Ok((Outcome::new(&all, bytes, elapsed, errors), streams))
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
    ) -> Result<(Lane<'a>, TcpStream)> {
        let mut lane = Lane::new(plan, records, interval)?;
        let stream = door.open(Some(plan.work))?;
        lane.carry(&mut Intake::new(&stream), plan.warm_up, plan.duration)?;
        lane.latencies = latencies()?;
        Ok((lane, stream))
    }

    /// As `carry`; with beats, at each of them as many requests as may be in flight.
    fn carry_at(
        &mut self,
        beats: Option<Beats>,
        intake: &mut Intake<'_>,
        requests: u64,
        duration: Duration,
    ) -> Result<()> {
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
    fn carry(&mut self, intake: &mut Intake<'_>, requests: u64, duration: Duration) -> Result<()> {
        let deadline = Instant::now() + duration;
        let mut left = requests;
        loop {
            if Instant::now() < deadline {
                while left > 0 && self.in_flight.len() < self.in_flight_max {
                    self.send(intake.stream())?;
                    left -= 1;
                }
                write_all_of(intake.stream(), &[&self.out])?;
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

    fn send(&mut self, stream: &TcpStream) -> Result<()> {
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
        write_all_of(stream, &pieces)?;
        self.out.clear();
        Ok(())
    }

    fn take(&mut self, intake: &mut Intake<'_>) -> Result<()> {
        let (correlation, sent) = self.in_flight.pop_front().context("nothing is owed")?;
        let (size, head) = intake.frame(HEAD_BYTES)?.context("closed with requests in flight")?;
        judge(self.work, size, head, correlation)?;
        intake.drop_frame(size)?;
        let latency = sent.elapsed();
        record(&mut self.latencies, latency);
        self.interval.record(latency);
        Ok(())
    }
}
