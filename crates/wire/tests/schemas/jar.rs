//! Kafka's message schemas, out of the jar of kafka-clients, which Maven brings when it is not here yet.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// Every schema of one release of Kafka.
pub(crate) fn schemas(release: &str) -> Vec<Value> {
    let path = jar(release);
    let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    let mut archive = zip::ZipArchive::new(file).expect("a jar is a zip file");
    let names: Vec<String> =
        archive.file_names().map(|name| name.expect("a readable name").into_owned()).collect();
    let is_schema = |name: &&String| {
        name.starts_with("common/message/") && Path::new(name).extension() == Some("json".as_ref())
    };
    let schemas: Vec<Value> = names
        .iter()
        .filter(is_schema)
        .map(|name| {
            let mut text = String::new();
            archive.by_name(name).expect("it was listed").read_to_string(&mut text).expect("UTF-8");
            serde_json::from_str(&without_comments(&text)).unwrap_or_else(|error| panic!("{name}: {error}"))
        })
        .collect();
    assert!(schemas.len() > 150, "{} has {} schemas only", path.display(), schemas.len());
    schemas
}

/// Tests run side by side; one of them brings the jar, the others wait.
static BRINGING: Mutex<()> = Mutex::new(());

/// Where the jar is: in Maven's local repository, or copied below the target directory by an earlier run or by this one.
fn jar(release: &str) -> PathBuf {
    let name = format!("kafka-clients-{release}.jar");
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let local = home.join(".m2/repository/org/apache/kafka/kafka-clients").join(release).join(&name);
    let _one_at_a_time = BRINGING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-clients");
    let copied = folder.join(&name);
    if local.is_file() {
        return local;
    }
    if !copied.is_file() {
        bring(release, &folder);
        assert!(copied.is_file(), "mvn said nothing, and brought no {}", copied.display());
    }
    copied
}

fn bring(release: &str, folder: &Path) {
    let artifact = format!("org.apache.kafka:kafka-clients:{release}");
    let output = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy"])
        .arg(format!("-Dartifact={artifact}"))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .output()
        .unwrap_or_else(|error| panic!("this test needs {artifact}, and Maven (mvn) to get it: {error}"));
    assert!(
        output.status.success(),
        "this test needs {artifact}; mvn could not get it:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// JSON without `//` comments, which Kafka has in its schemas.
fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        let mut end = line.len();
        for (at, letter) in line.char_indices() {
            if letter == '"' && previous != '\\' {
                in_string = !in_string;
            }
            if letter == '/' && previous == '/' && !in_string {
                end = at - 1;
                break;
            }
            previous = letter;
        }
        clean.push_str(&line[..end]);
        clean.push('\n');
    }
    clean
}
