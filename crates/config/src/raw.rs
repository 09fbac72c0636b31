//! The file as it is written: tables whose values are taken out one by one, each with its place in the text.
//!
//! Not serde: it stops at the first thing it does not like, and an operator wants to hear of all of them. A [`Section`]
//! notes which keys were asked for; what is left over at its end is unknown, and is reported with the key that was
//! probably meant.

mod array;

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::quantity;
use crate::{Fault, Faults};

/// What is found while checking, over all files.
#[derive(Default)]
pub(crate) struct Findings {
    faults: RefCell<Vec<Fault>>,
    notes: RefCell<Vec<String>>,
}

impl Findings {
    pub(crate) fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    pub(crate) fn note(&self, note: String) {
        self.notes.borrow_mut().push(note);
    }

    /// The notes, or all faults in the order of the files' names and of their lines.
    pub(crate) fn into_result(self) -> Result<Vec<String>, Faults> {
        let mut faults = self.faults.into_inner();
        if faults.is_empty() {
            return Ok(self.notes.into_inner());
        }
        faults.sort();
        faults.dedup();
        Err(Faults(faults))
    }
}

/// A text that is being checked: where it came from, and where its faults go.
#[derive(Clone, Copy)]
pub(crate) struct Text<'t> {
    pub(crate) file: &'t Path,
    pub(crate) written: &'t str,
    pub(crate) findings: &'t Findings,
}

impl<'t> Text<'t> {
    /// Parses the text; a syntax error becomes a fault. Its message never quotes the line: a password may stand there.
    pub(crate) fn parse(self) -> Option<Spanned<DeTable<'t>>> {
        match DeTable::parse(self.written) {
            Ok(table) => Some(table),
            Err(error) => {
                let at = error.span().unwrap_or(0..0);
                let what =
                    format!("is not TOML ({})", error.message().lines().collect::<Vec<_>>().join(", "));
                self.fault(&at, what, "write what TOML 1.0 allows here");
                None
            }
        }
    }

    pub(crate) fn fault(self, at: &Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        let (line, column) = self.place(at);
        self.findings.fault(Fault {
            file: self.file.to_owned(),
            line,
            column,
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// Line and column, from 1, in characters.
    fn place(self, at: &Range<usize>) -> (usize, usize) {
        let before = self.written.get(..at.start).unwrap_or(self.written);
        let line_at = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before.get(line_at..).unwrap_or("").chars().count() + 1)
    }

    /// `proxy.toml:12`, for a fault that refers to another line.
    pub(crate) fn line(self, at: &Range<usize>) -> String {
        format!("{}:{}", self.file.display(), self.place(at).0)
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) at: Range<usize>,
}

/// One table of a text.
pub(crate) struct Section<'s, 't> {
    pub(crate) text: Text<'t>,
    /// As it is written: `[[cluster.listener]]`.
    pub(crate) title: &'static str,
    /// Where its head is.
    pub(crate) at: Range<usize>,
    table: &'s DeTable<'t>,
    known: Vec<&'static str>,
    /// Keys that were refused with a word of their own.
    refused: Vec<&'static str>,
}

impl<'s, 't> Section<'s, 't> {
    pub(crate) fn new(text: Text<'t>, title: &'static str, at: Range<usize>, table: &'s DeTable<'t>) -> Self {
        Self { text, title, at, table, known: Vec::new(), refused: Vec::new() }
    }

    pub(crate) fn fault(&self, at: &Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        self.text.fault(at, what, remedy);
    }

    fn value(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'t>>, remedy: &str) {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        self.fault(&value.span(), format!("`{key}` is {article} {found}"), remedy);
    }

    /// A text, or `None` when it is not there; a fault when it is something else.
    pub(crate) fn string(&mut self, key: &'static str, example: &str) -> Option<Written<&'s str>> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, value, &format!("write a text in quotes, as in {key} = {example}"));
        }
        text.map(|text| Written { value: text, at: value.span() })
    }

    /// As [`Self::string`], a fault when it is not there.
    pub(crate) fn string_needed(&mut self, key: &'static str, example: &str) -> Option<Written<&'s str>> {
        if !self.has(key) {
            self.missing(key, example);
        }
        self.string(key, example)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// A fault at the head of the section.
    pub(crate) fn missing(&self, key: &str, example: &str) {
        self.fault(&self.at, format!("{} has no `{key}`", self.title), format!("add {key} = {example}"));
    }

    /// An array of texts; what is not a text is a fault and left out.
    pub(crate) fn strings(&mut self, key: &'static str, example: &str) -> Option<Vec<Written<&'s str>>> {
        let value = self.value(key)?;
        let remedy = format!("write an array of texts, as in {key} = {example}");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &remedy);
            return None;
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Written { value: text, at: item.span() }),
                None => self.wrong_type(key, item, &remedy),
            }
        }
        Some(texts)
    }

    /// Whether there is an array with nothing in it.
    pub(crate) fn is_empty(&self, key: &str) -> bool {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.and_then(|(_, value)| value.get_ref().as_array()).is_some_and(|array| array.is_empty())
    }

    /// Where a key's value is; the section's head when it is not there.
    pub(crate) fn place_of(&self, key: &str) -> Range<usize> {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.map_or_else(|| self.at.clone(), |(_, value)| value.span())
    }

    /// A number of the range; the default when it is not there, or is faulty.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        self.number_written(key, range).map_or(default, |number| number.value)
    }

    pub(crate) fn number_written(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<Written<usize>> {
        let value = self.value(key)?;
        let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(key, value, &remedy);
            return None;
        };
        match usize::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(Written { value: number, at: value.span() }),
            _ => {
                self.fault(&value.span(), format!("`{key}` = {integer} is out of range"), remedy);
                None
            }
        }
    }

    /// What TOML calls the value of a key, if it is there.
    pub(crate) fn kind_of(&self, key: &str) -> Option<&'static str> {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.map(|(_, value)| value.get_ref().type_str())
    }

    /// A number as it is written, in decimal.
    pub(crate) fn digits(&mut self, key: &'static str, remedy: &str) -> Option<(String, Range<usize>)> {
        let value = self.value(key)?;
        let float = value.get_ref().as_float().map(toml::de::DeFloat::as_str);
        let integer = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
        let written = float.or_else(|| integer.map(toml::de::DeInteger::as_str));
        if written.is_none() {
            self.wrong_type(key, value, remedy);
        }
        written.map(|written| (written.to_owned(), value.span()))
    }

    /// A part of a whole, 0.0 to 1.0.
    pub(crate) fn fraction(&mut self, key: &'static str, default: f64) -> f64 {
        let Some(value) = self.value(key) else { return default };
        let float = value.get_ref().as_float().map(toml::de::DeFloat::as_str);
        let written = float.or_else(|| value.get_ref().as_integer().map(toml::de::DeInteger::as_str));
        let remedy = "write a number from 0.0 to 1.0";
        match written.map(str::parse::<f64>) {
            None => self.wrong_type(key, value, remedy),
            Some(Ok(number)) if (0.0..=1.0).contains(&number) => return number,
            Some(_) => self.fault(&value.span(), format!("`{key}` is out of range"), remedy),
        }
        default
    }

    /// A time such as `"10s"` within the range; the default when it is not there, or is faulty.
    pub(crate) fn time(&mut self, key: &'static str, default: &str, range: [&str; 2]) -> Duration {
        self.time_if(key, range).or_else(|| quantity::duration(default)).unwrap_or_default()
    }

    /// As [`Self::time`], `None` when it is not there.
    pub(crate) fn time_if(&mut self, key: &'static str, [least, most]: [&str; 2]) -> Option<Duration> {
        let remedy = format!(
            "write a time from {least} to {most}, as in \"500ms\", \"10s\", \"5m\", \"1h\" or \"1d\""
        );
        self.quantity(key, quantity::duration, [least, most], &remedy)
    }

    /// A size such as `"100MiB"` within the range, in bytes.
    pub(crate) fn size(&mut self, key: &'static str, default: u32, [least, most]: [&str; 2]) -> u32 {
        let remedy = format!("write a size from {least} to {most}, as in \"64KiB\" or \"100MiB\"");
        self.quantity(key, quantity::size, [least, most], &remedy).unwrap_or(default)
    }

    pub(crate) fn quantity<Q: PartialOrd>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Option<Q>,
        [least, most]: [&str; 2],
        remedy: &str,
    ) -> Option<Q> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(key, value, remedy);
            return None;
        };
        let Some(quantity) = read(text) else {
            self.fault(
                &value.span(),
                format!("`{key}` = \"{}\" cannot be read", text.escape_debug()),
                remedy,
            );
            return None;
        };
        if read(least).is_some_and(|least| quantity < least) || read(most).is_some_and(|most| quantity > most)
        {
            self.fault(&value.span(), format!("`{key}` = \"{text}\" is out of range"), remedy);
            return None;
        }
        Some(quantity)
    }

    /// A table, `[title]` or inline.
    pub(crate) fn section(&mut self, key: &'static str, title: &'static str) -> Option<Section<'s, 't>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(self.text, title, value.span(), table)),
            DeValue::Array(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                self.wrong_type(key, value, &format!("write it as the table {title}"));
                None
            }
        }
    }

    /// The tables `[[title]]`.
    pub(crate) fn sections(&mut self, key: &'static str, title: &'static str) -> Vec<Section<'s, 't>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let remedy = format!("write it as {title}, with two brackets, once for each");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &remedy);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section::new(self.text, title, item.span(), table)),
                None => self.wrong_type(key, item, &remedy),
            }
        }
        sections
    }

    /// Every key with its value, for tables whose keys are the operator's own.
    pub(crate) fn entries(self) -> Vec<(Written<&'s str>, &'s Spanned<DeValue<'t>>)> {
        let table = self.table;
        table
            .iter()
            .map(|(key, value)| (Written { value: &**key.get_ref(), at: key.span() }, value))
            .collect()
    }

    /// Reports a key that belongs to such tables, only not here. Nothing happens when it is not there.
    pub(crate) fn refuse(&mut self, key: &'static str, what: &str, remedy: &str) {
        if let Some((name, _)) = self.table.iter().find(|(name, _)| name.get_ref() == key) {
            self.refused.push(key);
            self.fault(&name.span(), what, remedy);
        }
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref();
            if self.known.iter().chain(&self.refused).any(|known| known == name) {
                continue;
            }
            let remedy = near(name, &self.known)
                .unwrap_or_else(|| format!("remove it, or write one of {}", self.known.join(", ")));
            let what = format!("`{}` is no key of {}", name.escape_debug(), self.title);
            self.fault(&key.span(), what, remedy);
        }
    }
}

/// What was probably meant, if any of the known words is near.
pub(crate) fn near(name: &str, known: &[&str]) -> Option<String> {
    let small = name.to_ascii_lowercase();
    let distance = |known: &str| distance(&known.to_ascii_lowercase(), &small);
    let (distance, known) = known.iter().map(|known| (distance(known), *known)).min()?;
    (distance <= 1 + name.len() / 4).then(|| format!("did you mean `{known}`?"))
}

/// What to write instead of a word that is none of the known ones.
pub(crate) fn nearest(name: &str, known: &[&str]) -> String {
    near(name, known).unwrap_or_else(|| format!("write one of {}", known.join(", ")))
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let edit = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = edit.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
