//! `[fleet]`

use std::path::Path;
use std::sync::Arc;

use crate::Limit;
use crate::address::HostPort;
use crate::check::files;
use crate::limit::{Fleet, Scope};
use crate::raw::Section;

pub(super) fn read(root: &mut Section<'_, '_>, base: &Path, limits: &[Arc<Limit>]) -> Option<Fleet> {
    let shared = limits.iter().find(|limit| limit.scope == Scope::Fleet);
    let Some(mut section) = root.section("fleet", "[fleet]") else {
        if let Some(limit) = shared {
            let what = format!("limit `{}` is shared by a fleet, and there is no [fleet]", limit.name);
            root.fault(&root.place_of("limit"), what, "add [fleet] with url = \"redis://127.0.0.1:6379\"");
        }
        return None;
    };
    if shared.is_none() {
        section.text.findings.note(format!(
            "{}: [fleet] is used by no limit (scope = \"fleet\")",
            section.text.line(&section.at)
        ));
    }
    let example = "\"redis://127.0.0.1:6379\"";
    let url = section.string_needed("url", example);
    if let Some(url) = &url
        && !is_url(url.value)
    {
        let what = "`url` is no address of Redis or Valkey";
        section.fault(
            &url.at,
            what,
            format!(
                "write redis://host:port or redis://host:port/database, as in {example}; \
                                              user and password have keys of their own"
            ),
        );
    }
    let username = section.string("username", "\"portcullis\"").map(|name| name.value.to_owned());
    let password = files::password_if(&mut section, base);
    let prefix = section.string("prefix", "\"portcullis\"").map_or("portcullis", |prefix| prefix.value);
    let sync = section.time("sync", "100ms", ["10ms", "10s"]);
    section.finish();
    Some(Fleet {
        url: url?.value.into(),
        username,
        password: password.map(|password| password.secret),
        prefix: prefix.into(),
        sync,
    })
}

/// `redis://host:port`, with or without the number of a database.
fn is_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("redis://") else { return false };
    let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
    HostPort::parse(address).is_ok() && (database.is_empty() || database.parse::<u16>().is_ok())
}
