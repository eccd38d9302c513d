//! Outcomes as columns of small numbers, which is what makes them compress to a few bytes each.

use super::UNIT;
use crate::outcome::{Answer, Kind, Outcome};

const WARMUP: u8 = 1 << 3;
const REUSED: u8 = 1 << 4;
const HAS_FIRST: u8 = 1 << 5;
const HAS_LABEL: u8 = 1 << 6;
const HAS_SCORE: u8 = 1 << 7;

/// Columns of one block, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Columns {
    records: usize,
    flags: Vec<u8>,
    candidate: Vec<u8>,
    iteration: Vec<u8>,
    status: Vec<u8>,
    exchange: Vec<u8>,
    intended: Vec<u8>,
    dispatched: Vec<u8>,
    sent: Vec<u8>,
    first_byte: Vec<u8>,
    end: Vec<u8>,
    received: Vec<u8>,
    label: Vec<u8>,
    scores: Vec<f32>,
    before: Before,
}

/// What the next record is told from.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    exchange: i64,
    intended: i64,
    received: i64,
}

/// The columns are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

// === impl Columns ===

impl Columns {
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Adds a record.
    pub(super) fn push(&mut self, outcome: &Outcome) {
        let at = |instant: u64| (instant / UNIT) as i64;
        let has_first = outcome.first_byte > 0;
        let score = outcome.answer.and_then(|answer| answer.score);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        self.flags.push(
            outcome.kind as u8
                | flag(outcome.warmup, WARMUP)
                | flag(outcome.reused, REUSED)
                | flag(has_first, HAS_FIRST)
                | flag(outcome.answer.is_some(), HAS_LABEL)
                | flag(score.is_some(), HAS_SCORE),
        );
        put(&mut self.candidate, outcome.candidate.into());
        put(&mut self.iteration, outcome.iteration.into());
        put(&mut self.status, outcome.status.into());
        put_signed(&mut self.exchange, i64::from(outcome.exchange) - self.before.exchange);
        put_signed(&mut self.intended, at(outcome.intended) - self.before.intended);
        put_signed(&mut self.dispatched, at(outcome.dispatched) - at(outcome.intended));
        put_signed(&mut self.sent, at(outcome.sent) - at(outcome.dispatched));
        let mut last = at(outcome.sent);
        if has_first {
            put_signed(&mut self.first_byte, at(outcome.first_byte) - last);
            last = at(outcome.first_byte);
        }
        put_signed(&mut self.end, at(outcome.end) - last);
        put_signed(&mut self.received, i64::from(outcome.received) - self.before.received);
        if let Some(answer) = outcome.answer {
            put(&mut self.label, answer.label.into());
        }
        self.scores.extend(score);
        self.before = Before {
            exchange: i64::from(outcome.exchange) + 1,
            intended: at(outcome.intended),
            received: outcome.received.into(),
        };
        self.records += 1;
    }

    /// Puts the columns behind `names` into `out`, and empties them.
    pub(super) fn drain_into(&mut self, names: &[u8], out: &mut Vec<u8>) {
        let mut planes = Vec::with_capacity(self.scores.len() * 4);
        for plane in 0..4 {
            planes.extend(self.scores.iter().map(|score| score.to_le_bytes()[plane]));
        }
        self.scores.clear();
        put(out, names.len() as u64);
        out.extend_from_slice(names);
        for column in [
            &mut self.flags,
            &mut self.candidate,
            &mut self.iteration,
            &mut self.status,
            &mut self.exchange,
            &mut self.intended,
            &mut self.dispatched,
            &mut self.sent,
            &mut self.first_byte,
            &mut self.end,
            &mut self.received,
            &mut self.label,
            &mut planes,
        ] {
            put(out, column.len() as u64);
            out.extend_from_slice(column);
            column.clear();
        }
        (self.records, self.before) = (0, Before::default());
    }
}

/// Reads `records` records: the names of new labels as they were put, and the outcomes.
pub(super) fn read(mut raw: &[u8], records: usize) -> Result<(&[u8], Vec<Outcome>), Malformed> {
    let mut column = || -> Result<&[u8], Malformed> {
        let length = usize::try_from(take(&mut raw)?).map_err(|_| Malformed)?;
        let (column, rest) = raw.split_at_checked(length).ok_or(Malformed)?;
        raw = rest;
        Ok(column)
    };
    let names = column()?;
    let flags = column()?;
    let mut varints = [&[][..]; 11];
    for place in &mut varints {
        *place = column()?;
    }
    let [
        candidate,
        iteration,
        status,
        exchange,
        intended,
        dispatched,
        sent,
        first_byte,
        end,
        received,
        label,
    ] = &mut varints;
    let planes = column()?;
    if !raw.is_empty() || flags.len() != records || planes.len() % 4 != 0 {
        return Err(Malformed);
    }
    let scores = planes.len() / 4;
    let mut score =
        (0..scores).map(|at| f32::from_le_bytes([0, 1, 2, 3].map(|plane| planes[plane * scores + at])));

    let mut before = Before::default();
    let mut outcomes = Vec::with_capacity(records);
    for flags in flags {
        let kind = *Kind::ALL.get(usize::from(flags & 7)).ok_or(Malformed)?;
        let has = |bit: u8| flags & bit != 0;
        let number = before.exchange.checked_add(take_signed(exchange)?).ok_or(Malformed)?;
        let start = after(before.intended, intended)?;
        let taken_up = after(start, dispatched)?;
        let handed = after(taken_up, sent)?;
        let first = if has(HAS_FIRST) { Some(after(handed, first_byte)?) } else { None };
        let over = after(first.unwrap_or(handed), end)?;
        let bytes = before.received.checked_add(take_signed(received)?).ok_or(Malformed)?;
        let label = if has(HAS_LABEL) { Some(narrow(take(label)?)?) } else { None };
        let score = if has(HAS_SCORE) { Some(score.next().ok_or(Malformed)?) } else { None };
        outcomes.push(Outcome {
            candidate: narrow(take(candidate)?)?,
            iteration: narrow(take(iteration)?)?,
            exchange: u32::try_from(number).map_err(|_| Malformed)?,
            warmup: has(WARMUP),
            kind,
            status: narrow(take(status)?)?,
            intended: start as u64 * UNIT,
            dispatched: taken_up as u64 * UNIT,
            sent: handed as u64 * UNIT,
            first_byte: first.map_or(0, |first| first as u64 * UNIT),
            end: over as u64 * UNIT,
            received: u32::try_from(bytes).map_err(|_| Malformed)?,
            reused: has(REUSED),
            answer: label.map(|label| Answer { label, score }),
        });
        before = Before { exchange: number + 1, intended: start, received: bytes };
    }
    let over = varints.iter().all(|column| column.is_empty()) && score.next().is_none();
    if over { Ok((names, outcomes)) } else { Err(Malformed) }
}

/// The next instant of a column, told from another one; never negative, and small enough to be nanoseconds too.
fn after(before: i64, column: &mut &[u8]) -> Result<i64, Malformed> {
    let instant = before.checked_add(take_signed(column)?).ok_or(Malformed)?;
    if (0..=i64::MAX / UNIT as i64).contains(&instant) { Ok(instant) } else { Err(Malformed) }
}

fn narrow(number: u64) -> Result<u16, Malformed> {
    u16::try_from(number).map_err(|_| Malformed)
}

fn put(column: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        column.push(number as u8 | 0x80);
        number >>= 7;
    }
    column.push(number as u8);
}

fn put_signed(column: &mut Vec<u8>, number: i64) {
    put(column, ((number << 1) ^ (number >> 63)) as u64);
}

fn take(column: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = column.split_first().ok_or(Malformed)?;
        *column = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && *byte > 1 {
            return Err(Malformed);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn take_signed(column: &mut &[u8]) -> Result<i64, Malformed> {
    let number = take(column)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}
