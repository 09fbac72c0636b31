//! The little of a request's body that its fate hangs on.

use wire::Malformed;
use wire::api::Api;
use wire::reader::{Encoding, Reader};

/// What about the request matters, apart from its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Plain,
    /// A Produce with these acks.
    Records {
        /// As in the request: -1, 0 or 1.
        acks: i16,
    },
    /// A Fetch, `ShareFetch` or `ShareAcknowledge` of a session that is there already, and which it names a part of.
    InSession,
    /// An `InitProducerId` with a transactional id.
    Transactional,
}

impl Asked {
    /// Reads it from the beginning of the body; 100 KiB always suffice (three of Kafka's longest strings). Where the bytes
    /// that would tell are missing or make no sense, what is on the safe side: a client waits for an answer, a session is
    /// not there, and there is a transactional id.
    pub fn of(api: Api, version: i16, body: &[u8]) -> Asked {
        let mut reader = Reader::new(body, Encoding::of(api.request_is_flexible(version)));
        if api == Api::Produce {
            Asked::Records { acks: acks(&mut reader, version).unwrap_or(-1) }
        } else if api == Api::Fetch && version >= 7 {
            // Epoch 0 opens a session, and -1 wants none or closes one: both name all partitions.
            let epoch = fetch_epoch(&mut reader, version).unwrap_or(0);
            if epoch > 0 { Asked::InSession } else { Asked::Plain }
        } else if api == Api::ShareFetch || api == Api::ShareAcknowledge {
            // Epoch 0 opens a session, and -1 closes one, with its last acknowledgements.
            let epoch = share_epoch(&mut reader).unwrap_or(-1);
            if epoch == 0 { Asked::Plain } else { Asked::InSession }
        } else if api == Api::InitProducerId {
            let id = reader.nullable_string_bytes("transactional id");
            if id == Ok(None) { Asked::Plain } else { Asked::Transactional }
        } else {
            Asked::Plain
        }
    }
}

fn acks(reader: &mut Reader<'_>, version: i16) -> Result<i16, Malformed> {
    if version >= 3 {
        reader.nullable_string_bytes("transactional id")?;
    }
    reader.i16("acks")
}

fn fetch_epoch(reader: &mut Reader<'_>, version: i16) -> Result<i32, Malformed> {
    if version < 15 {
        reader.i32("replica id")?;
    }
    reader.take(13, "wait, bytes and isolation level")?;
    reader.i32("session id")?;
    reader.i32("session epoch")
}

fn share_epoch(reader: &mut Reader<'_>) -> Result<i32, Malformed> {
    reader.nullable_string_bytes("group")?;
    reader.nullable_string_bytes("member")?;
    reader.i32("session epoch")
}
