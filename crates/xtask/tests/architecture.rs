//! ARCHITECTURE.md leads through functions that exist.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// Where a crate's sources begin, by the name that headings use.
const CRATES: [(&str, &str); 4] = [
    ("portcullis", "crates/gateway"),
    ("wire", "crates/wire/src"),
    ("policy", "crates/policy/src"),
    ("config", "crates/config/src"),
];

/// Says why `heading`, such as `wire::walk::Walker::feed`, names no function.
fn missing(root: &Path, heading: &str) -> Option<String> {
    let path: Vec<&str> = heading.split("::").collect();
    let [krate, modules @ .., function] = path.as_slice() else {
        return Some("a heading is crate::path::function".to_owned());
    };
    let Some((_, sources)) = CRATES.iter().find(|(name, _)| name == krate) else {
        return Some(format!("no crate {krate}"));
    };
    let (modules, owner) = match modules.split_last() {
        Some((last, before)) if last.starts_with(char::is_uppercase) => (before, Some(*last)),
        _ => (modules, None),
    };
    let stem = modules.iter().fold(root.join(sources), |path, module| path.join(module));
    let files: [PathBuf; 3] = [stem.with_extension("rs"), stem.join("mod.rs"), stem.join("lib.rs")];
    let Some(text) = files.iter().find_map(|file| fs::read_to_string(file).ok()) else {
        return Some(format!("no file for the module {}", modules.join("::")));
    };
    let has = |what: String| text.lines().any(|line| line.trim_start().starts_with(&what));
    if let Some(owner) = owner
        && !has(format!("impl {owner} "))
        && !has(format!("impl {owner}<"))
        && !has(format!("impl<'a> {owner}<"))
    {
        return Some(format!("no impl of {owner} in that module"));
    }
    let functions = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn "]
        .into_iter()
        .chain(["pub(crate) async fn ", "pub(super) async fn "]);
    let mut signatures = functions.flat_map(|begin| ["(", "<"].map(|end| format!("{begin}{function}{end}")));
    if signatures.any(has) { None } else { Some(format!("no function {function} in that module")) }
}

#[test]
fn every_heading_of_the_architecture_is_a_function_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("##")).collect();
    assert!(headings.len() > 20, "only {} headings", headings.len());
    let lost: Vec<String> = headings
        .iter()
        .filter_map(|heading| {
            let Some(name) = heading.trim_start_matches('#').trim().strip_prefix('`') else {
                return Some(format!("{heading}: not a function"));
            };
            missing(&root, name.trim_end_matches('`')).map(|why| format!("{heading}: {why}"))
        })
        .collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn a_function_that_does_not_exist_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert_eq!(missing(&root, "wire::walk::Walker::feed"), None);
    for wrong in
        ["wire::walk::Walker::fed", "wire::walk::Runner::feed", "wire::walks::feed", "wine::walk::feed"]
    {
        assert!(missing(&root, wrong).is_some(), "{wrong}");
    }
}
