//! The bridge from what is written to what is meant.

use std::path::Path;

use crate::{Faults, Model};

/// Checks a text.
pub(crate) fn check(_text: &str, file: &Path, _base: &Path) -> Result<Model, Faults> {
    Err(Faults(vec![crate::Fault::of_file(file, "cannot be read yet", "wait")]))
}
