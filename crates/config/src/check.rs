//! The bridge from what is written to what is meant. Everything is looked at, whatever else is wrong.

mod cluster;
mod files;
mod fleet;
mod limit;
mod listener;
mod ports;
mod users;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::raw::{Findings, Section, Text, Written};
use crate::{Admin, Drain, Faults, Log, LogFormat, Model, Process};

/// What the system has room for in the address of a Unix socket.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Connections are let go over one part in so many of a shutdown, unless told otherwise.
const SPREAD_SHARE: u32 = 3;

/// Checks a text; `base` is the folder that relative paths are relative to.
pub(crate) fn check(text: &str, file: &Path, base: &Path) -> Result<Model, Faults> {
    let findings = Findings::default();
    let model = read(Text { file, written: text, findings: &findings }, base);
    let notes = findings.into_result()?;
    match model {
        Some(model) => Ok(Model { notes, ..model }),
        // Whoever gives nothing back has reported why.
        None => Err(Faults(vec![crate::Fault::of_file(file, "cannot be used", "report this as a defect")])),
    }
}

fn read(text: Text<'_>, base: &Path) -> Option<Model> {
    let document = text.parse()?;
    let mut root = Section::new(text, "the top level", 0..0, document.get_ref());
    let admin = read_admin(&mut root);
    let log = read_log(&mut root);
    let process = read_process(&mut root, base);
    let drain = read_drain(&mut root);
    let users = users::read(&mut root, base);
    let drafts = cluster::read_all(&mut root, base, &users);
    ports::check(text, admin.as_ref(), &drafts);
    let limits = limit::read_all(&mut root, &drafts);
    let fleet = fleet::read(&mut root, base, limits.fleet_at.as_ref());
    root.finish();
    Some(Model {
        admin: admin.map(|bind| Admin { bind: bind.value }),
        log,
        process,
        clusters: drafts.into_iter().map(|draft| Arc::new(draft.cluster)).collect(),
        users: Arc::new(users.into_users()),
        drain,
        limits: limits.limits,
        fleet,
        notes: Vec::new(),
    })
}

fn read_admin(root: &mut Section<'_, '_>) -> Option<Written<SocketAddr>> {
    let mut section = root.section("admin", "[admin]")?;
    let bind = section.string_needed("bind", "\"127.0.0.1:9644\"").and_then(|bind| socket(&section, &bind));
    section.finish();
    bind
}

/// An IP address and a port.
fn socket(section: &Section<'_, '_>, written: &Written<&str>) -> Option<Written<SocketAddr>> {
    if let Ok(value) = written.value.parse() {
        return Some(Written { value, at: written.at.clone() });
    }
    section.fault(
        &written.at,
        format!("`{}` is no IP address with a port", written.value.escape_debug()),
        "write one as in \"127.0.0.1:9092\", \"0.0.0.0:9092\" or \"[::1]:9092\"",
    );
    None
}

fn read_log(root: &mut Section<'_, '_>) -> Log {
    let mut log = Log { filter: "info".to_owned(), format: LogFormat::Human };
    let Some(mut section) = root.section("log", "[log]") else { return log };
    if let Some(filter) = section.string("filter", "\"info\"") {
        if is_filter(filter.value) {
            filter.value.clone_into(&mut log.filter);
        } else {
            section.fault(
                &filter.at,
                format!("`{}` is no filter", filter.value.escape_debug()),
                "write a level (off, error, warn, info, debug, trace), and levels of targets after commas, as in \
                 \"info,portcullis=debug\"",
            );
        }
    }
    if let Some(format) = section.string("format", "\"human\"") {
        match format.value {
            "human" => log.format = LogFormat::Human,
            "json" => log.format = LogFormat::Json,
            other => {
                let what = format!("`{}` is no format", other.escape_debug());
                section.fault(&format.at, what, "write \"human\" or \"json\"");
            }
        }
    }
    section.finish();
    log
}

/// Levels by target: `level` and `target=level`, divided by commas.
fn is_filter(text: &str) -> bool {
    let is_level = |level: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(level))
    };
    let is_target = |target: &str| {
        !target.is_empty()
            && target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-'))
    };
    text.split(',').all(|directive| match directive.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(directive),
    })
}

fn read_process(root: &mut Section<'_, '_>, base: &Path) -> Process {
    let (mut threads, mut connections_max, mut takeover) = (0, 100_000, None);
    if let Some(mut section) = root.section("process", "[process]") {
        threads = section.number("threads", threads, 0..=1024);
        connections_max = section.number("connections_max", connections_max, 1..=10_000_000);
        takeover = section
            .string("takeover", "\"/run/portcullis/takeover.sock\"")
            .and_then(|path| socket_path(&section, &path, base));
        section.finish();
    }
    if threads == 0 {
        threads = std::thread::available_parallelism().map_or(1, usize::from);
    }
    Process { threads, connections_max, takeover }
}

/// Where a Unix socket may lie.
fn socket_path(section: &Section<'_, '_>, written: &Written<&str>, base: &Path) -> Option<PathBuf> {
    let path = base.join(written.value);
    if !written.value.is_empty() && path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Some(path);
    }
    section.fault(
        &written.at,
        format!("`{}` is no place for a Unix socket", path.display()),
        format!("write a path of at most {SOCKET_PATH_BYTES_MAX} bytes, its folder included"),
    );
    None
}

fn read_drain(root: &mut Section<'_, '_>) -> Drain {
    let (least_to_most, default) = (["0s", "1h"], "30s");
    let seconds = std::time::Duration::from_secs(30);
    let Some(mut section) = root.section("drain", "[drain]") else {
        return Drain { reload: seconds, shutdown: seconds, spread: seconds / SPREAD_SHARE };
    };
    let reload = section.time("reload", default, least_to_most);
    let shutdown = section.time("shutdown", default, least_to_most);
    let spread = section.time_if("spread", least_to_most).unwrap_or(shutdown / SPREAD_SHARE);
    if spread > shutdown {
        let what = "`spread` is longer than `shutdown`, and the rest of it would be cut";
        section.fault(&section.place_of("spread"), what, "write a shorter time, or a longer `shutdown`");
    }
    section.finish();
    Drain { reload, shutdown, spread }
}
