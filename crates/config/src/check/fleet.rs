//! `[fleet]`

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::address::HostPort;
use crate::check::files;
use crate::limit::Fleet;
use crate::raw::{Section, Written};

/// Where Redis and Valkey listen if nobody says otherwise.
const PORT: u16 = 6379;

/// `wanted_at`: where a limit wants to be shared.
pub(super) fn read(
    root: &mut Section<'_, '_>,
    base: &Path,
    wanted_at: Option<&Range<usize>>,
) -> Option<Fleet> {
    let Some(mut section) = root.section("fleet", "[fleet]") else {
        if let Some(at) = wanted_at
            && !root.has("fleet")
        {
            let what = "the limit is shared by a fleet, and there is no [fleet]";
            root.fault(
                at,
                what,
                "add [fleet] with url = \"redis://127.0.0.1:6379\", or write scope = \"replica\"",
            );
        }
        return None;
    };
    if wanted_at.is_none() {
        note(&section, "[fleet] is not used, no limit has scope = \"fleet\"");
    }
    let url =
        section.string_needed("url", "\"redis://127.0.0.1:6379\"").and_then(|url| address(&section, &url));
    let username = section.string("username", "\"portcullis\"");
    let password = files::password_if(&mut section, base);
    let has_password = ["password", "password_file", "password_env"].iter().any(|key| section.has(key));
    if let Some(username) = &username
        && !has_password
    {
        let what = "`username` without a password logs in nowhere";
        section.fault(&username.at, what, "add password, password_file or password_env, or remove it");
    }
    if has_password && url.as_ref().is_some_and(|(server, _)| !is_local(server)) {
        note(&section, "the password of [fleet] goes over the network unencrypted");
    }
    let prefix = prefix(&mut section);
    let sync = section.time("sync", "100ms", ["10ms", "10s"]);
    section.finish();
    let (server, database) = url?;
    Some(Fleet {
        url: format!("redis://{server}/{database}").into(),
        username: username.map(|name| name.value.to_owned()),
        password: password.map(|password| password.secret),
        prefix,
        sync,
    })
}

fn note(section: &Section<'_, '_>, note: &str) {
    let line = section.text.line(&section.at);
    section.text.findings.note(format!("{line}: {note}"));
}

/// Server and database; a fault never repeats what is written, a password might be in it.
fn address(section: &Section<'_, '_>, url: &Written<&str>) -> Option<(HostPort, u16)> {
    let found = parse(url.value);
    if found.is_none() {
        section.fault(
            &url.at,
            "`url` is no address of Redis or Valkey",
            "write redis://host, redis://host:port or redis://host:port/database; user and password have keys of \
             their own",
        );
    }
    found
}

fn parse(url: &str) -> Option<(HostPort, u16)> {
    let rest = url.strip_prefix("redis://")?;
    let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
    let has_port = server.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let server = if has_port { server.to_owned() } else { format!("{server}:{PORT}") };
    let database = if database.is_empty() { 0 } else { database.parse().ok()? };
    Some((HostPort::parse(&server).ok()?, database))
}

/// Whether what is sent there stays on this host.
fn is_local(server: &HostPort) -> bool {
    server.host == "localhost" || server.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn prefix(section: &mut Section<'_, '_>) -> Arc<str> {
    let Some(written) = section.string("prefix", "\"portcullis\"") else { return "portcullis".into() };
    let is_prefix = (1..=100).contains(&written.value.len())
        && written.value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'));
    if !is_prefix {
        let what = format!("`{}` cannot be a prefix", written.value.escape_debug());
        section.fault(&written.at, what, "write 1 to 100 letters, digits, `-`, `_`, `.` or `:`");
    }
    written.value.into()
}
