//! How requests leave for the broker, and what becomes of their bytes where they can't.

use super::{Flow, Frame};
use crate::ended::Ended;
use crate::in_flight::Left;
use crate::moment::Moment;
use crate::pool::Intake;
use crate::pump::Pump;
use crate::pump::mend::{Waited, Wrote};

impl Pump {
    /// Sends the bytes that may go, and notes that their questions have left. What finds no broker in time is answered.
    pub(super) async fn send_on(&self, intake: &mut Intake) {
        while !intake.ready().is_empty() {
            let broker = match self.broker().await {
                Waited::Broker(broker) if !self.sift.get() => broker,
                Waited::Broker(_) | Waited::Answered => {
                    self.sift(intake);
                    continue;
                }
                Waited::GaveUp => {
                    self.drop_ready(intake);
                    continue;
                }
            };
            match self.to_broker(&broker, intake.ready()).await {
                Wrote::All => {
                    self.have_left(intake.ready().len());
                    intake.gone();
                }
                Wrote::Broke(n) => self.broke(intake, n),
            }
        }
    }

    /// Notes that so many more bytes have left, and with them the questions that end there.
    pub(in crate::pump) fn have_left(&self, bytes: usize) {
        let left = self.due.get() - bytes;
        self.due.set(left);
        self.rest.set(left);
        self.rest_is_owed.set(self.is_owed.get());
        let end = self.in_flight.next_name() - u64::from(left > 0 && self.is_owed.get());
        self.in_flight.sent(self.first_unsent.get(), end, Moment::now());
        self.first_unsent.set(end);
    }

    /// Sends a frame that was gathered, whose question has this name, unless it is answered before.
    pub(super) async fn send_whole(&self, frame: &[u8], name: u64) {
        while self.in_flight.with_asked(name, |_| ()).is_some() {
            // Nothing else waits to leave.
            self.sift.set(false);
            let Waited::Broker(broker) = self.broker().await else { continue };
            match self.to_broker(&broker, frame).await {
                Wrote::All => {
                    self.in_flight.sent(name, name + 1, Moment::now());
                    break;
                }
                Wrote::Broke(n) if n == frame.len() => {
                    self.in_flight.with_asked(name, |asked| asked.left = Left::Wholly);
                    break;
                }
                Wrote::Broke(_) => {}
            }
        }
        self.first_unsent.set(name + 1);
    }

    /// Takes out what is there of a frame that goes nowhere.
    pub(super) fn swallow(&self, frame: &mut Frame, intake: &mut Intake, now: Moment) -> Result<Flow, Ended> {
        let Frame::Swallowing { left, heard } = frame else { return Ok(Flow::On) };
        let n = intake.rest().len().min(*left);
        if let Some(heard) = heard {
            self.hear(heard, &intake.rest()[..n], now)?;
        }
        intake.take_out(n);
        *left -= n;
        if *left > 0 {
            return Ok(Flow::More);
        }
        if let Some(heard) = heard {
            self.heard(heard, now);
        }
        *frame = Frame::Boundary;
        self.swallowed()?;
        Ok(Flow::On)
    }
}
