//! Whole answers of Produce and Fetch in which nothing is told but success: nearly all of them, read in one go.

use crate::api::Api;
use crate::plain::Plain;

/// Where the tail of a whole answer to a Produce or a Fetch begins, if all that comes before it is ordinary: no error, no
/// tags, no aborted transactions. `frame` begins with the correlation id. `None` says nothing: a
/// [`Walker`](crate::walk::Walker) tells what there is, at ten times the cost.
pub fn plain_tail(api: Api, version: i16, frame: &[u8]) -> Option<usize> {
    if !api.speaks(version) {
        return None;
    }
    let mut plain = Plain { rest: frame.get(4..)?, is_flexible: api.request_is_flexible(version) };
    match (api, plain.is_flexible) {
        (Api::Produce, true) => flexible_produce(&mut plain, version)?,
        (Api::Produce, false) => produce(&mut plain, version)?,
        (Api::Fetch, true) => flexible_fetch(&mut plain, version)?,
        (Api::Fetch, false) => fetch(&mut plain, version)?,
        (_, _) => return None,
    }
    frame.len().checked_sub(plain.rest.len())
}

/// Whether [`plain_tail`] may say anything of answers of this API.
pub fn may_be_plain(api: Api) -> bool {
    matches!(api, Api::Produce | Api::Fetch)
}

/// Version 9 and later. What is of fixed size is read in one look.
fn flexible_produce(plain: &mut Plain<'_>, version: i16) -> Option<()> {
    plain.no_tags()?;
    for _ in 0..plain.count()? {
        plain.topic(version >= 13)?;
        for _ in 0..plain.count()? {
            // Number, success, base offset, time of append, start of the log, no records with errors, nothing wrong with all of
            // them, no tags.
            let [_, _, _, _, 0, 0, .., 1, 0, 0] = plain.take::<33>()? else { return None };
        }
        plain.no_tags()?;
    }
    // The throttle time.
    plain.skip(4)
}

fn produce(plain: &mut Plain<'_>, version: i16) -> Option<()> {
    // Base offset; time of append, start of the log.
    let fixed = match version {
        5.. => 24,
        2.. => 16,
        ..=1 => 8,
    };
    for _ in 0..plain.count()? {
        plain.string()?;
        for _ in 0..plain.count()? {
            plain.partition()?;
            plain.skip(fixed)?;
            if version >= 8 {
                // Records with errors, and what is wrong with all of them.
                plain.nothing()?;
                plain.null()?;
            }
        }
    }
    plain.skip(if version >= 1 { 4 } else { 0 })
}

/// Version 12 and later. What is of fixed size is read in one look.
fn flexible_fetch(plain: &mut Plain<'_>, version: i16) -> Option<()> {
    // No tags, the throttle time, success, the session.
    let [0, _, _, _, _, 0, 0, _, _, _, _] = plain.take()? else { return None };
    for _ in 0..plain.count()? {
        plain.topic(version >= 13)?;
        for _ in 0..plain.count()? {
            // Number, success, high watermark, last stable offset, start of the log, no aborted transactions, preferred replica.
            let [_, _, _, _, 0, 0, .., 0 | 1, _, _, _, _] = plain.take::<35>()? else { return None };
            plain.records()?;
            plain.no_tags()?;
        }
        plain.no_tags()?;
    }
    Some(())
}

fn fetch(plain: &mut Plain<'_>, version: i16) -> Option<()> {
    plain.skip(if version >= 1 { 4 } else { 0 })?;
    if version >= 7 {
        plain.success()?;
        plain.skip(4)?;
    }
    // High watermark; last stable offset, start of the log.
    let fixed = match version {
        5.. => 24,
        4 => 16,
        ..=3 => 8,
    };
    for _ in 0..plain.count()? {
        plain.string()?;
        for _ in 0..plain.count()? {
            plain.partition()?;
            plain.skip(fixed)?;
            if version >= 4 {
                // Aborted transactions.
                plain.nothing_or_null()?;
            }
            // Preferred replica.
            plain.skip(if version >= 11 { 4 } else { 0 })?;
            plain.records()?;
        }
    }
    Some(())
}
