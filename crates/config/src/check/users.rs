//! `[[user]]`, here and in the file that `users_file` names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check::files::{self, Origin};
use crate::raw::{Section, Text};
use crate::{ANONYMOUS, Credential, Fault, ScramCredential, User, Users};

/// Who was found; names of users whose password is faulty are here too, so that nothing follows from that fault.
#[derive(Default)]
pub(super) struct Found {
    /// By name, where it is written.
    places: BTreeMap<String, String>,
    users: Vec<User>,
    /// A users file could not be read: whoever is missing may be in it.
    incomplete: bool,
}

impl Found {
    /// Whether somebody has this name, as far as can be known.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.incomplete || self.places.contains_key(name)
    }

    /// Whether nobody may log in, as far as can be known.
    pub(super) fn is_empty(&self) -> bool {
        !self.incomplete && self.places.is_empty()
    }

    pub(super) fn into_users(self) -> Users {
        Users::new(self.users)
    }
}

pub(super) fn read(root: &mut Section<'_, '_>, base: &Path) -> Found {
    let mut found = Found::default();
    read_users(root, base, &mut found);
    if let Some(file) = root.string("users_file", "\"users.toml\"") {
        let path = base.join(file.value);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let text = Text { file: &path, written: &text, findings: root.text.findings };
                read_file(text, path.parent().unwrap_or(base), &mut found);
            }
            Err(error) => {
                found.incomplete = true;
                root.fault(
                    &file.at,
                    format!("{} cannot be read ({error})", path.display()),
                    "name a readable file; a relative path is relative to the folder of this one",
                );
            }
        }
    }
    found
}

fn read_file(text: Text<'_>, base: &Path, found: &mut Found) {
    let Some(document) = text.parse() else {
        found.incomplete = true;
        return;
    };
    let mut root = Section::new(text, "a users file", 0..0, document.get_ref());
    if read_users(&mut root, base, found) == 0 {
        let remedy = "write [[user]] tables into it, or name another file";
        text.findings.fault(Fault::of_file(text.file, "holds no users", remedy));
        found.incomplete = true;
    }
    root.finish();
}

/// How many tables there were.
fn read_users(root: &mut Section<'_, '_>, base: &Path, found: &mut Found) -> usize {
    let sections = root.sections("user", "[[user]]");
    let count = sections.len();
    for section in sections {
        read_user(section, base, found);
    }
    count
}

fn read_user(mut section: Section<'_, '_>, base: &Path, found: &mut Found) {
    let name = section.string_needed("name", "\"alice\"");
    let password = files::password(&mut section, base);
    let credential = password.and_then(|password| {
        if !ScramCredential::claims(password.secret.expose()) {
            if password.origin == Origin::Text {
                section.text.findings.note(format!(
                    "{}: a password is clear text; put what `portcullis hash-password` prints in its place",
                    section.text.line(&password.at)
                ));
            }
            return Some(Credential::Clear(password.secret));
        }
        match ScramCredential::parse(password.secret.expose()) {
            Ok(credential) => Some(Credential::Scram(credential)),
            Err(invalid) => {
                let remedy = "copy the whole line that `portcullis hash-password` prints";
                section.fault(&password.at, format!("the SCRAM-SHA-512 credential {invalid}"), remedy);
                None
            }
        }
    });
    if let Some(name) = name {
        let printable = name.value.escape_debug();
        if name.value.is_empty() || name.value.len() > 255 || name.value.contains(char::is_control) {
            let what = format!("`{printable}` cannot be a user");
            section.fault(&name.at, what, "write 1 to 255 bytes without control characters");
        } else if name.value == ANONYMOUS {
            let remedy = "choose another name";
            section.fault(&name.at, format!("`{ANONYMOUS}` is who logs in nowhere"), remedy);
        } else if let Some(first) = found.places.get(name.value) {
            let what = format!("`{printable}` is a user already, at {first}");
            section.fault(&name.at, what, "remove one of the two");
        } else {
            found.places.insert(name.value.to_owned(), section.text.line(&name.at));
            if let Some(credential) = credential {
                found.users.push(User { name: name.value.into(), credential });
            }
        }
    } else {
        found.incomplete = true;
    }
    section.finish();
}
