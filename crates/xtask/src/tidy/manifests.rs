//! Which crate may depend on which: the arrows, read from the manifests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Breach, Rule};

/// Crates of ours, by the names under which manifests know them.
const OURS: [&str; 6] = ["wire", "config", "policy", "portcullis", "testkit", "bench"];
/// What never is a production dependency of a crate that does no I/O.
const IMPURE: [&str; 7] = ["tokio", "mio", "socket2", "rustix", "rand", "fastrand", "getrandom"];

/// A crate, what of ours it may use, and whether it may do I/O.
struct Allowed {
    manifest: &'static str,
    ours: &'static [&'static str],
    pure: bool,
}

const ALLOWED: [Allowed; 7] = [
    Allowed { manifest: "crates/wire/Cargo.toml", ours: &[], pure: true },
    Allowed { manifest: "crates/config/Cargo.toml", ours: &["wire"], pure: false },
    Allowed { manifest: "crates/policy/Cargo.toml", ours: &["wire", "config"], pure: true },
    Allowed { manifest: "Cargo.toml", ours: &["policy", "wire", "config"], pure: false },
    // Independent of what they test and measure.
    Allowed { manifest: "crates/testkit/Cargo.toml", ours: &[], pure: false },
    Allowed { manifest: "benches/Cargo.toml", ours: &[], pure: false },
    Allowed { manifest: "crates/xtask/Cargo.toml", ours: &["testkit", "bench"], pure: false },
];

pub(super) fn check(root: &Path) -> Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    let workspace = read(&root.join("Cargo.toml"))?;
    let members = workspace.get("workspace").and_then(|table| table.get("members")).and_then(Value::as_array);
    for member in members.into_iter().flatten().filter_map(Value::as_str) {
        let manifest = format!("{member}/Cargo.toml");
        if !ALLOWED.iter().any(|allowed| allowed.manifest == manifest) {
            breaches.push(breach(&manifest, "say in xtask's tidy on which crates this one may depend"));
        }
    }
    for allowed in &ALLOWED {
        let path = root.join(allowed.manifest);
        if !path.exists() {
            breaches.push(breach(allowed.manifest, "tidy knows this crate, and it is not there"));
            continue;
        }
        for (name, package) in dependencies(&read(&path)?) {
            let ours = OURS.iter().find(|ours| {
                [name.as_str(), &package]
                    .iter()
                    .any(|it| it.strip_prefix("portcullis-").unwrap_or(it) == **ours)
            });
            if let Some(ours) = ours
                && !allowed.ours.contains(ours)
            {
                breaches.push(breach(allowed.manifest, &format!("this crate must not depend on {ours}")));
            }
            if allowed.pure && IMPURE.contains(&package.as_str()) {
                let what = format!("{package}: this crate does no I/O and draws no random numbers");
                breaches.push(breach(allowed.manifest, &what));
            }
        }
    }
    Ok(breaches)
}

/// Name and package of every dependency that is not for tests only.
fn dependencies(manifest: &Table) -> Vec<(String, String)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table).chain([manifest]);
    tables
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)))
        .filter_map(|table| table?.as_table())
        .flatten()
        .map(|(name, value)| {
            let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
            (name.clone(), package.to_owned())
        })
        .collect()
}

fn read(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("{} is no TOML", path.display()))
}

fn breach(file: &str, what: &str) -> Breach {
    Breach { file: file.to_owned(), line: 1, rule: Rule::Arrow, what: what.to_owned() }
}
