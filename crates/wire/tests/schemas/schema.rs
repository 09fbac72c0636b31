//! One schema, as far as the comparison needs it.

use serde_json::Value;

/// Versions as Kafka writes them: `none`, `3`, `0-12`, `9+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    pub(crate) fn parse(text: &str) -> Versions {
        let number = |text: &str| text.parse::<i16>().unwrap_or_else(|_| panic!("versions {text}"));
        match (text, text.strip_suffix('+'), text.split_once('-')) {
            ("none", _, _) => Versions { min: 0, max: -1 },
            (_, Some(min), _) => Versions { min: number(min), max: i16::MAX },
            (_, _, Some((min, max))) => Versions { min: number(min), max: number(max) },
            (only, None, None) => Versions { min: number(only), max: number(only) },
        }
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

/// A request or an answer.
pub(crate) struct Schema<'a>(pub(crate) &'a Value);

impl<'a> Schema<'a> {
    pub(crate) fn name(&self) -> &'a str {
        self.0["name"].as_str().expect("a schema has a name")
    }

    pub(crate) fn kind(&self) -> &'a str {
        self.0["type"].as_str().expect("a schema has a type")
    }

    pub(crate) fn key(&self) -> i16 {
        i16::try_from(self.0["apiKey"].as_i64().expect("a request has a key")).expect("a small one")
    }

    /// Versions that are offered to clients: the newest may be unstable, then it is not.
    pub(crate) fn versions(&self) -> Versions {
        let mut versions = Versions::parse(self.0["validVersions"].as_str().expect("valid versions"));
        if self.0["latestVersionUnstable"] == true {
            versions.max -= 1;
        }
        versions
    }

    /// First version with compact lengths.
    pub(crate) fn flexible_from(&self) -> i16 {
        let flexible = Versions::parse(self.0["flexibleVersions"].as_str().expect("flexible versions"));
        if flexible.max < flexible.min { i16::MAX } else { flexible.min }
    }

    /// Whether clients can reach it.
    pub(crate) fn is_client_facing(&self) -> bool {
        let listeners = self.0["listeners"].as_array();
        listeners.is_some_and(|names| names.iter().any(|name| name == "broker" || name == "zkBroker"))
    }

    /// The fields that the schema has in `version`, in their order, each structure before what is in it.
    pub(crate) fn lines(&self, version: i16) -> Vec<String> {
        let mut lines = Vec::new();
        self.fields(&self.0["fields"], version, "", &mut |line, _| lines.push(line));
        lines
    }

    /// How many bytes are before the top-level `ErrorCode` in `version`; `None` where there is none, or their number varies.
    pub(crate) fn error_at(&self, version: i16) -> Option<usize> {
        let mut before = 0;
        for field in self.0["fields"].as_array().into_iter().flatten() {
            let has =
                |key: &str| field[key].as_str().is_some_and(|value| Versions::parse(value).contains(version));
            if !has("versions") || has("taggedVersions") {
                continue;
            }
            let width = match field["type"].as_str().expect("a field has a type") {
                "int16" if field["name"] == "ErrorCode" => return Some(before),
                "bool" | "int8" => 1,
                "int16" | "uint16" => 2,
                "int32" | "uint32" => 4,
                "int64" | "float64" => 8,
                "uuid" => 16,
                _ => return None,
            };
            before += width;
        }
        None
    }

    /// The untagged fields of the message itself.
    pub(crate) fn own_lines(&self, version: i16) -> Vec<String> {
        self.lines(version).into_iter().filter(|line| is_own(line)).collect()
    }

    /// The untagged fields of the message itself before and behind `ThrottleTimeMs`, with their types; `None` where there
    /// is no such field.
    pub(crate) fn around_throttle(&self, version: i16) -> Option<(Vec<String>, Vec<String>)> {
        let own = self.own_lines(version);
        let at = own.iter().position(|line| line == "ThrottleTimeMs: int32")?;
        Some((own[..at].to_vec(), own[at + 1..].to_vec()))
    }

    /// Paths and names of all fields in `version`.
    pub(crate) fn paths(&self, version: i16) -> Vec<(String, String)> {
        let mut paths = Vec::new();
        self.fields(&self.0["fields"], version, "", &mut |line, name| {
            let (path, _) = line.split_once(": ").expect("a line has a type");
            paths.push((path.to_owned(), name.to_owned()));
        });
        paths
    }

    fn fields(&self, fields: &Value, version: i16, above: &str, each: &mut dyn FnMut(String, &str)) {
        for field in fields.as_array().into_iter().flatten() {
            let text = |key: &str| field[key].as_str();
            let has = |key: &str| text(key).is_some_and(|value| Versions::parse(value).contains(version));
            if !has("versions") {
                continue;
            }
            let name = text("name").expect("a field has a name");
            let declared = text("type").expect("a field has a type");
            let (array, element) = match declared.strip_prefix("[]") {
                Some(element) => ("[]", element),
                None => ("", declared),
            };
            let is_struct = element.starts_with(char::is_uppercase);
            let shown = if is_struct { "struct" } else { element };
            let nullable = if has("nullableVersions") { " nullable" } else { "" };
            let tag = match field["tag"].as_u64() {
                Some(tag) if has("taggedVersions") => format!(" tag {tag}"),
                Some(_) | None => String::new(),
            };
            assert!(text("flexibleVersions").is_none(), "{name} has an encoding of its own");
            each(format!("{above}{name}{array}: {array}{shown}{nullable}{tag}"), name);
            if is_struct {
                let inner = if field["fields"].is_array() { &field["fields"] } else { self.common(element) };
                self.fields(inner, version, &format!("{above}{name}{array}."), each);
            }
        }
    }

    fn common(&self, name: &str) -> &'a Value {
        let structs = self.0["commonStructs"].as_array();
        let found = structs.into_iter().flatten().find(|found| found["name"] == name);
        &found.unwrap_or_else(|| panic!("no structure {name}"))["fields"]
    }
}

/// Whether a line is of an untagged field of the message itself.
fn is_own(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(path, kind)| !path.contains('.') && !kind.contains(" tag "))
}
