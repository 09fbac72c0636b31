//! The brokers without a Kafka behind them: one blocking thread per connection, records dropped unread, answers
//! from prebuilt bytes. It must cost little, for it shares the machine with what is measured.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use crate::answer::{Answer, Cluster, HEAD_BYTES, answer};
use crate::intake::Intake;
use crate::line::Line;

/// Stacks of the connections' threads; thousands of them may idle.
const STACK_BYTES: usize = 128 * 1024;
/// Smaller answers are copied, so that several leave in one write.
const COPIED_BYTES_MAX: usize = 32 * 1024;
const ZEROS: [u8; 8] = [0; 8];

/// Binds `nodes` loopback ports and serves them on threads until the process ends. Port 0 picks free ones.
pub fn start(ports: &[u16], partitions: i32, records_bytes_max: usize) -> Result<Cluster> {
    let listeners: Vec<TcpListener> = ports
        .iter()
        .map(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}")))
        .collect::<Result<_>>()?;
    let ports = listeners.iter().map(|bound| Ok(bound.local_addr()?.port())).collect::<io::Result<_>>()?;
    let cluster = Cluster::new(ports, partitions);
    let records: Arc<[u8]> = canned_records(records_bytes_max).into();
    for listener in listeners {
        let (cluster, records) = (Arc::new(cluster.clone()), Arc::clone(&records));
        thread::Builder::new().spawn(move || accept(&listener, &cluster, &records))?;
    }
    Ok(cluster)
}

/// Record bytes that begin like a batch of magic 2 by no transactional producer; its rest is zero.
fn canned_records(length: usize) -> Vec<u8> {
    let mut records = vec![0_u8; length.max(61)];
    let batch_bytes = u32::try_from(records.len() - 12).unwrap_or(u32::MAX).to_be_bytes();
    for (place, bytes) in [(8, &batch_bytes[..]), (16, &[2]), (43, &[0xff; 14]), (60, &[1])] {
        if let Some(field) = records.get_mut(place..place + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }
    records
}

fn accept(listener: &TcpListener, cluster: &Arc<Cluster>, records: &Arc<[u8]>) {
    for stream in listener.incoming() {
        let (cluster, records) = (Arc::clone(cluster), Arc::clone(records));
        let started = stream.and_then(|stream| {
            thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
                if let Err(error) = serve(stream, &cluster, &records) {
                    eprintln!("sink: {error:#}");
                }
            })
        });
        if let Err(error) = started {
            eprintln!("sink: {error}");
        }
    }
}

fn serve(stream: TcpStream, cluster: &Cluster, records: &[u8]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut intake = Intake::new(Line::Plain(stream));
    let mut out = Vec::new();
    loop {
        if !out.is_empty() && !intake.frame_is_here() {
            intake.line().write_all_of(&[&out])?;
            out.clear();
        }
        let (size, owed) = match intake.frame(HEAD_BYTES) {
            Ok(Some((size, head))) => (size, answer(cluster, size, head, &mut out)?),
            Ok(None) => return Ok(()),
            // What relays do at the end of a client is their business.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        intake.drop_frame(size)?;
        if let Answer::Records { records_bytes, tail } = owed {
            let records = records.get(..records_bytes).context("a Fetch of more than there is")?;
            let tail = ZEROS.get(..tail).unwrap_or_default();
            if records.len() <= COPIED_BYTES_MAX {
                out.extend_from_slice(records);
                out.extend_from_slice(tail);
            } else {
                intake.line().write_all_of(&[&out, records, tail])?;
                out.clear();
            }
        }
    }
}
