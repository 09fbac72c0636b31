//! `cargo xtask tidy`: what style and architecture promise, as a check.
//!
//! Files of at most 400 lines, functions of at most 70, a module doc on every file, dependencies between crates in one
//! direction, no clock, socket or randomness in `wire` and `policy`, no leftover markers, no paths of one machine. An
//! exception is named in [`EXCEPTIONS`] with its reason, and must be needed.

mod manifests;
mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use testkit::place;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    FileLength,
    FunctionLength,
    ModuleDoc,
    Arrow,
    Pure,
    Timer,
    Marker,
    MachinePath,
    Syntax,
}

/// (file, rule, reason): checked to be needed, so that none outlives its reason.
const EXCEPTIONS: &[(&str, Rule, &str)] = &[
    (
        "crates/wire/src/api/path.rs",
        Rule::FunctionLength,
        "two tables: a line per API, whole, so that a new one does not compile without a decision",
    ),
    ("crates/wire/src/api/class.rs", Rule::FunctionLength, "a table of the same kind"),
    ("crates/policy/src/fate/table.rs", Rule::FunctionLength, "a table of the same kind"),
    ("crates/wire/src/api/errors.rs", Rule::FunctionLength, "a table of the same kind"),
];

const SKIPPED: [&str; 5] = [".git", "node_modules", "__pycache__", "corpus", "artifacts"];
const TEXTS: [&str; 13] =
    ["rs", "toml", "md", "sh", "py", "js", "mjs", "go", "java", "yml", "yaml", "json", "cfg"];

/// Composed here, so that they do not stand in this file.
const MARKERS: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

/// One breach.
#[derive(Debug)]
struct Breach {
    file: String,
    line: usize,
    rule: Rule,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Prints every breach; an error when there is one.
pub(crate) fn run() -> Result<()> {
    let root = place::workspace();
    let mut files = Vec::new();
    walk(&root, Path::new(""), &mut files)?;
    let mut breaches = manifests::check(&root)?;
    for file in &files {
        let text = fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        breaches.extend(words(file, &text));
        if Path::new(file).extension().is_some_and(|extension| extension == "rs") {
            breaches.extend(source::check(file, &text));
        }
    }
    let excepted = |breach: &Breach| {
        EXCEPTIONS.iter().position(|(file, rule, _)| *file == breach.file && *rule == breach.rule)
    };
    let needed: BTreeSet<usize> = breaches.iter().filter_map(excepted).collect();
    breaches.retain(|breach| excepted(breach).is_none());
    breaches.sort_by(|a, b| (a.rule, &a.file, a.line).cmp(&(b.rule, &b.file, b.line)));
    for breach in &breaches {
        eprintln!("{breach}");
    }
    let idle = EXCEPTIONS.iter().enumerate().filter(|(place, _)| !needed.contains(place)).map(|(_, it)| it);
    let idle: Vec<String> =
        idle.map(|(file, rule, _)| format!("{file}: the exception from {rule:?} is not needed")).collect();
    for line in &idle {
        eprintln!("{line}");
    }
    match breaches.len() + idle.len() {
        0 => Ok(()),
        count => bail!("{count} things are not tidy"),
    }
}

/// Every text file of the project, by its path from the root.
fn walk(root: &Path, below: &Path, files: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().context("a file name that is not UTF-8")?;
        let path = below.join(name);
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name) && !name.starts_with("target") {
                walk(root, &path, files)?;
            }
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_text =
            extension.is_some_and(|extension| TEXTS.contains(&extension)) || below == Path::new(".ci");
        if is_text {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// Leftover markers and paths of one machine, in any text.
fn words(file: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut breach =
            |rule, what| breaches.push(Breach { file: file.to_owned(), line: number + 1, rule, what });
        for marker in MARKERS.iter().filter(|marker| has_word(line, marker)) {
            breach(Rule::Marker, format!("a leftover {marker}"));
        }
        for path in MACHINE_PATHS.iter().filter(|path| line.contains(**path)) {
            breach(Rule::MachinePath, format!("{path} exists on one machine only"));
        }
    }
    breaches
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '/' || c == '+';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && (word.ends_with('(') || !after.is_some_and(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::{MARKERS, words};

    #[test]
    fn a_marker_is_a_word_of_its_own() {
        let marker = MARKERS.first().copied().unwrap_or_default();
        assert_eq!(words("f", &format!("// {marker}: later")).len(), 1);
        assert!(words("f", &format!("let base64 = \"A{marker}B\";")).is_empty());
    }
}
