//! What the file names: passwords in files and in the environment, PEM files.

use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::raw::{Section, Written};
use crate::secret::Secret;

/// A password, and how it came here.
pub(super) struct Password {
    pub(super) secret: Secret,
    /// Where it, or the name of its file or variable, is written.
    pub(super) at: std::ops::Range<usize>,
    pub(super) origin: Origin,
}

/// Whether a password stands in the configuration itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Text,
    Elsewhere,
}

/// As [`password`], where there may be none.
pub(super) fn password_if(section: &mut Section<'_, '_>, base: &Path) -> Option<Password> {
    let keys = ["password", "password_file", "password_env"];
    if keys.iter().any(|key| section.has(key)) {
        return password(section, base);
    }
    // Asked for, so that they are known to be keys.
    for key in keys {
        section.string(key, "\"…\"");
    }
    None
}

/// Reads one of `password`, `password_file` and `password_env`; none and several are faults.
pub(super) fn password(section: &mut Section<'_, '_>, base: &Path) -> Option<Password> {
    let example = "\"…\"";
    let given = ["password", "password_file", "password_env"].into_iter().filter(|key| section.has(key));
    let given: Vec<&str> = given.collect();
    let text = section.string("password", example);
    let file = section.string("password_file", "\"alice.secret\"");
    let env = section.string("password_env", "\"ALICE_PASSWORD\"");
    if let [_, second, ..] = given.as_slice() {
        section.fault(
            &section.place_of(second),
            format!("{} has {}", section.title, given.join(" and ")),
            "keep one of them",
        );
        return None;
    }
    if given.is_empty() {
        section.fault(
            &section.at,
            format!("{} has no password", section.title),
            "add password, password_file or password_env",
        );
        return None;
    }
    let (secret, at, origin) = if let Some(text) = text {
        (Zeroizing::new(text.value.to_owned()), text.at, Origin::Text)
    } else if let Some(file) = file {
        let bytes = Zeroizing::new(read(section, &file, base)?);
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let what = format!("{} is not UTF-8", file.value);
            section.fault(&file.at, what, "name a file that holds one password as text");
            return None;
        };
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        (Zeroizing::new(line.to_owned()), file.at, Origin::Elsewhere)
    } else {
        let env = env?;
        let is_name = !env.value.is_empty() && !env.value.contains(['=', '\0']);
        let Some(Ok(value)) = is_name.then(|| std::env::var(env.value)) else {
            // The name is not repeated: it might be a password that was put into the wrong key.
            let what = "the environment has no variable of this name";
            section.fault(&env.at, what, "set it, or name one that is set to UTF-8 text");
            return None;
        };
        (Zeroizing::new(value), env.at, Origin::Elsewhere)
    };
    if secret.is_empty() || secret.contains(['\0', '\n', '\r']) {
        let what = "the password is empty, or has a line break or NUL in it";
        section.fault(&at, what, "give one line with at least one character");
        return None;
    }
    Some(Password { secret: Secret::new(secret.as_str()), at, origin })
}

fn read(section: &Section<'_, '_>, file: &Written<&str>, base: &Path) -> Option<Vec<u8>> {
    match std::fs::read(base.join(file.value)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            section.fault(
                &file.at,
                format!("{} cannot be read ({error})", base.join(file.value).display()),
                "name a readable file; a relative path is relative to the folder of this one",
            );
            None
        }
    }
}

/// All certificates of a PEM file, at least one.
pub(super) fn certificates(
    section: &Section<'_, '_>,
    file: &Written<&str>,
    base: &Path,
) -> Option<Vec<CertificateDer<'static>>> {
    let bytes = read(section, file, base)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        Ok(_) | Err(_) => {
            let what = format!("{} holds no certificate", file.value);
            section.fault(&file.at, what, "name a PEM file with -----BEGIN CERTIFICATE----- in it");
            None
        }
    }
}

/// The first private key of a PEM file.
pub(super) fn private_key(
    section: &Section<'_, '_>,
    file: &Written<&str>,
    base: &Path,
) -> Option<PrivateKeyDer<'static>> {
    let bytes = Zeroizing::new(read(section, file, base)?);
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&bytes) {
        return Some(key);
    }
    let what = format!("{} holds no private key", file.value);
    section.fault(&file.at, what, "name a PEM file with an unencrypted key in it (PKCS#8, PKCS#1 or SEC1)");
    None
}
