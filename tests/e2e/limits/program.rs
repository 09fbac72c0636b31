//! The programs that send and read: the client libraries, and kcat.

use std::time::Duration;

use aws_lc_rs::digest::{SHA512, digest};
use testkit::{Library, Load, Tool};

use super::field::Player;
use super::table::{Case, Work};
use crate::ground::kcat;

/// How long sending or reading may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// What no record has in it: between key and value, and behind a record.
const BETWEEN: &str = "<between key and value>";
const BEHIND: &str = "<behind a record>";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Library(Library),
    Kcat,
}

/// All of them.
pub(super) const PROGRAMS: [Program; 8] = {
    let [a, b, c, d, e, f, g] = Library::ALL;
    [
        Program::Library(a),
        Program::Library(b),
        Program::Kcat,
        Program::Library(c),
        Program::Library(d),
        Program::Library(e),
        Program::Library(f),
        Program::Library(g),
    ]
};

impl Player {
    /// Sends; what its user would have noticed.
    pub(super) fn sends(&self, case: Case) -> Vec<String> {
        let Work { records, size, batch } = case.work();
        match self.program {
            Program::Library(library) => {
                let load = self.client(library).produce(&self.topic, records, size);
                let batch_bytes = size * batch + size / 2;
                self.ends(load.option("--batch-bytes", &batch_bytes.to_string()))
            }
            Program::Kcat => {
                let batch = format!("batch.num.messages={batch}");
                let how =
                    ["-P", "-t", &self.topic, "-K", BETWEEN, "-D", BEHIND, "-X", &batch, "-X", "linger.ms=0"];
                kcat_ends(self.kcat(&how).input(written(records, size)), 0)
            }
        }
    }

    /// Reads all that it has sent as a member of a group; what its user would have noticed.
    pub(super) fn reads(&self, case: Case) -> Vec<String> {
        let records = case.work().records;
        match self.program {
            Program::Library(library) => {
                self.ends(self.client(library).consume(&self.topic, &self.group, records))
            }
            Program::Kcat => {
                let count = records.to_string();
                let how = ["-G", &self.group, "-c", &count, "-f", "%k\\n", &self.topic];
                let more = ["-X", "session.timeout.ms=10000", "-X", "auto.offset.reset=earliest"];
                kcat_ends(self.kcat(&[&more[..], &how].concat()), records)
            }
        }
    }

    fn ends(&self, load: Load) -> Vec<String> {
        match load.option("--client-id", &self.client_id).within(PATIENCE).run() {
            Ok(report) => report.faults(),
            Err(error) => vec![format!("{:?}: {error:#}", self.program)],
        }
    }

    fn kcat(&self, how: &[&str]) -> Tool {
        let mut tool = kcat();
        for (key, value) in self.properties() {
            tool = tool.args(&["-X", &format!("{key}={value}")]);
        }
        tool.args(how).limit(PATIENCE)
    }
}

/// What the user of a kcat would have noticed, which says so many lines.
fn kcat_ends(tool: Tool, lines: u64) -> Vec<String> {
    let output = match tool.run() {
        Ok(output) => output,
        Err(error) => return vec![format!("kcat: {error:#}")],
    };
    // A group's first assignment is told, and that all is revoked when it leaves.
    let assignments = output.stderr.lines().filter(|line| line.contains("assigned")).count();
    let is_faulty = |line: &&str| line.contains("ERROR") || line.contains("FAIL");
    let mut faults: Vec<String> = output.stderr.lines().filter(is_faulty).map(str::to_owned).collect();
    if output.code != Some(0) || output.stdout.lines().count() as u64 != lines || assignments > 1 {
        faults.push(format!("kcat: {output:?}"));
    }
    faults
}

/// Records as the programs of tests/clients send them, for kcat to take apart.
fn written(records: u64, size: usize) -> Vec<u8> {
    let mut noise = Vec::new();
    let mut block = Vec::new();
    for _ in 0..16384 {
        block = digest(&SHA512, &block).as_ref().to_vec();
        noise.extend(&block);
    }
    let mut written = Vec::new();
    for number in 0..usize::try_from(records).unwrap() {
        let start = number * size % noise.len();
        let held = noise[start..].iter().chain(&noise).copied();
        let value: Vec<u8> = format!("{number}:").bytes().chain(held).take(size).collect();
        written.extend(number.to_string().bytes().chain(BETWEEN.bytes()).chain(value).chain(BEHIND.bytes()));
    }
    written
}
