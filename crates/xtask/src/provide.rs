//! What tests need of the machine: found, installed where that is possible, or named exactly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use testkit::{KAFKA_NEW, KAFKA_OLD, kafka, place};

const JDK_MIN: u32 = 17;
/// The first Go that gets a newer one by itself when a module asks for it.
const GO_MIN: u32 = 21;
/// Clients from `PyPI`, pinned.
const PYTHON_CLIENTS: [&str; 3] = ["kafka-python==3.0.12", "confluent-kafka==2.16.1", "aiokafka==0.14.0"];

/// A need, and the Debian packages that meet it.
struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    met: fn() -> bool,
}

const NEEDS: [Need; 9] = [
    Need { what: "kcat", packages: &["kcat"], met: || answers("kcat", "-V") },
    Need { what: "haproxy", packages: &["haproxy"], met: || answers("haproxy", "-v") },
    Need { what: "redis-server", packages: &["redis-server"], met: || answers("redis-server", "--version") },
    Need { what: "a JDK of 17 or newer", packages: &["default-jdk-headless"], met: has_jdk },
    Need { what: "Apache Maven (mvn)", packages: &["maven"], met: || answers("mvn", "-v") },
    Need {
        what: "python3 with venv",
        packages: &["python3-venv"],
        met: || runs(Command::new("python3").args(["-c", "import venv, ensurepip"])),
    },
    Need {
        what: "Node.js with npm",
        packages: &["nodejs", "npm"],
        met: || answers("node", "--version") && answers("npm", "--version"),
    },
    Need { what: "Go of 1.21 or newer", packages: &["golang-go"], met: has_go },
    // librdkafka in process, and the cryptography of rustls, are C.
    Need {
        what: "a C compiler, make and cmake",
        packages: &["build-essential", "cmake", "pkg-config"],
        met: || ["cc", "make", "cmake"].iter().all(|program| answers(program, "--version")),
    },
];

/// All of it; what is there already costs a moment.
pub(crate) fn everything() -> Result<()> {
    programs()?;
    python()?;
    node()?;
    go()?;
    // Here, so that no test's time is spent on the network.
    for version in [KAFKA_OLD, KAFKA_NEW] {
        kafka::Dist::fetch(version)?;
    }
    java()
}

/// Finds or installs every program.
fn programs() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.met)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if is_root() && answers("apt-get", "--version") {
        println!("installing {}", packages.join(" "));
        // Old lists may do: a mirror that is away must not keep us from trying.
        if !runs(apt().arg("update")) {
            eprintln!("apt-get update failed; trying with the lists that are there");
        }
        if !apt().args(["install", "-y", "--no-install-recommends"]).args(&packages).status()?.success() {
            eprintln!("apt-get install failed");
        }
    }
    let missing: Vec<&str> = NEEDS.iter().filter(|need| !(need.met)()).map(|need| need.what).collect();
    if !missing.is_empty() {
        bail!(
            "missing: {}\non Debian or Ubuntu, as root: apt-get install {}",
            missing.join(", "),
            packages.join(" ")
        );
    }
    Ok(())
}

/// Makes the virtual environment with the clients of `PyPI`, once per list of clients.
fn python() -> Result<()> {
    let python = place::python();
    let home = place::target().join("python");
    let mark = home.join("clients");
    let clients = PYTHON_CLIENTS.join("\n");
    if python.exists() && fs::read_to_string(&mark).is_ok_and(|made| made == clients) {
        return Ok(());
    }
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    must(Command::new("python3").args(["-m", "venv"]).arg(&home), "python3 -m venv")?;
    must(
        Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_CLIENTS),
        &format!("pip install {}", PYTHON_CLIENTS.join(" ")),
    )?;
    Ok(fs::write(mark, clients)?)
}

/// Installs the clients of npm, once per list of clients.
fn node() -> Result<()> {
    let modules = place::node_modules();
    let home = modules.parent().context("no directory above the modules of npm")?;
    let source = place::clients_source().join("node");
    let lock = fs::read(source.join("package-lock.json"))?;
    let mark = home.join("clients");
    if modules.exists() && fs::read(&mark).is_ok_and(|made| made == lock) {
        return Ok(());
    }
    fs::create_dir_all(home)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), home.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(home);
    must(&mut npm, "npm ci")?;
    Ok(fs::write(mark, lock)?)
}

/// Builds the programs in Go, which keeps what has not changed.
fn go() -> Result<()> {
    let home = place::go_clients();
    fs::create_dir_all(&home)?;
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-o"]).arg(&home).arg("./...");
    // Some distributions turn off that Go gets the version that a module asks for.
    go.env("GOTOOLCHAIN", "auto").current_dir(place::clients_source().join("go"));
    must(&mut go, "go build")
}

/// Compiles the programs on Java's own client that are not a test's own, once per text.
fn java() -> Result<()> {
    let home = place::java_client();
    let source = place::clients_source().join("java");
    let files = ["Load.java", "Steady.java", "SteadyConsumer.java", "SteadyProducer.java"];
    let files = files.map(|file| source.join(file));
    let mut made = KAFKA_NEW.to_owned();
    for file in &files {
        made += &fs::read_to_string(file)?;
    }
    let mark = home.join("source");
    if fs::read_to_string(&mark).is_ok_and(|before| before == made) {
        return Ok(());
    }
    fs::create_dir_all(&home)?;
    let mut javac = Command::new(javac());
    javac.args(["-cp", &kafka::Dist::fetch(KAFKA_NEW)?.class_path(), "-d"]).arg(&home).args(&files);
    must(&mut javac, "javac")?;
    Ok(fs::write(mark, made)?)
}

/// Runs a command, and says `what` failed where it does.
pub(crate) fn must(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {what}"))?;
    if !status.success() {
        bail!("{what}: {status}");
    }
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    command
}

fn answers(program: &str, argument: &str) -> bool {
    runs(Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()))
}

fn runs(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// `javac` is what tells a JDK from a runtime; tests compile small Java clients.
fn javac() -> PathBuf {
    let java = kafka::java();
    if java == Path::new("java") { "javac".into() } else { java.with_file_name("javac") }
}

fn has_go() -> bool {
    let Ok(output) = Command::new("go").arg("version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `go version go1.24.4 linux/amd64`
    let minor =
        text.split_whitespace().nth(2).and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= GO_MIN)
}

fn has_jdk() -> bool {
    let Ok(output) = Command::new(javac()).arg("-version").output() else { return false };
    let text = [output.stdout, output.stderr].concat();
    // `javac 17.0.15`
    String::from_utf8_lossy(&text)
        .split_whitespace()
        .nth(1)
        .and_then(|version| version.split(['.', '-', '+']).next()?.parse::<u32>().ok())
        .is_some_and(|major| major >= JDK_MIN)
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // Real, effective, saved, of the file system.
    uid.and_then(|line| line.split_whitespace().nth(1)) == Some("0")
}
