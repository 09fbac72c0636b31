//! `cargo xtask release`: the gateway as it ships, optimised by a profile of itself at work (profile-guided optimisation).
//!
//! It is built twice: once counting how often each branch is taken while the bench's own loads go through it, and once
//! laid out by those counts. Nothing is built again that has not changed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use testkit::leash::Leash;
use testkit::place;

use crate::bench::measure;
use crate::bench::programs::{self, Programs};
use crate::bench::twins::{self, Twin, Way};
use crate::bench::works::{Kind, WORKS, Work};
use crate::cargo;
use crate::provide::must;

/// Of each load: long enough that what happens once a second happens.
const SECONDS: f64 = 1.5;
/// Between rustc's arguments where `CARGO_ENCODED_RUSTFLAGS` lists them.
const SEPARATOR: &str = "\u{1f}";

pub(crate) fn run() -> Result<()> {
    println!("{}", build(&Rust::probe()?)?.display());
    Ok(())
}

/// Which gateway is measured, for the options of other tasks.
#[derive(clap::Args)]
pub(crate) struct Measured {
    /// The gateway that `cargo build --release` makes, not that of `cargo xtask release`
    #[arg(long)]
    no_pgo: bool,
    /// Run what was built before
    #[arg(long)]
    no_build: bool,
}

impl Measured {
    /// Builds it and the bench's own programs, unless told otherwise. `output` is as in [`Programs::find`].
    pub(crate) fn programs(&self, output: &str) -> Result<Programs> {
        if !self.no_build {
            programs::cargo_build("portcullis-bench")?;
        }
        let gateway = match (self.no_pgo, self.no_build) {
            (true, true) => programs::plain_gateway(),
            (true, false) => plain()?,
            (false, true) => path(),
            (false, false) => match Rust::probe() {
                Ok(rust) => build(&rust)?,
                Err(missing) => {
                    eprintln!("no profile: {missing:#}");
                    plain()?
                }
            },
        };
        println!("gateway: {}", gateway.display());
        Programs::find(gateway, output)
    }
}

fn plain() -> Result<PathBuf> {
    programs::cargo_build("portcullis")?;
    Ok(programs::plain_gateway())
}

/// Where it is.
fn path() -> PathBuf {
    home().join("portcullis")
}

/// Builds it and tells where it is.
fn build(rust: &Rust) -> Result<PathBuf> {
    let home = home();
    fs::create_dir_all(&home)?;
    let (counts, optimised) = (home.join("counts"), home.join("optimised"));
    let counting = rust.build(&home.join("counting"), &option("profile-generate", &counts)?)?;
    // Cargo does not see what a profile holds, so its name tells it of another one.
    let profile = home.join(format!("{:016x}.profdata", hash(&counting)?));
    if !profile.exists() {
        clear(&home, &[&counts, &optimised])?;
        train(counting).context("the loads that make the profile")?;
        merge(&rust.profdata, &counts, &profile)?;
    }
    let built = rust.build(&optimised, &option("profile-use", &profile)?)?;
    // Not over it: it may run.
    let (path, new) = (path(), home.join("portcullis.new"));
    fs::copy(&built, &new).with_context(|| built.display().to_string())?;
    fs::rename(&new, &path)?;
    Ok(path)
}

fn home() -> PathBuf {
    place::target().join("pgo")
}

fn option(name: &str, path: &Path) -> Result<String> {
    let path = path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))?;
    Ok(format!("-C{name}={path}"))
}

/// The toolchain.
struct Rust {
    host: String,
    /// The program that merges counts.
    profdata: PathBuf,
}

impl Rust {
    /// Finds what is needed. The program that merges counts is installed where it is missing and rustup is there.
    fn probe() -> Result<Rust> {
        let version = told("rustc", &["--version", "--verbose"])?;
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc has no host")?;
        let libraries = PathBuf::from(told("rustc", &["--print", "target-libdir"])?.trim());
        let profdata = libraries.with_file_name("bin").join("llvm-profdata");
        if !profdata.exists() {
            told("rustup", &["component", "add", "llvm-tools"])
                .context("llvm-profdata is missing, which `rustup component add llvm-tools` brings")?;
        }
        ensure!(profdata.exists(), "{} is missing: rustup component add llvm-tools", profdata.display());
        Ok(Rust { host: host.to_owned(), profdata })
    }

    /// Builds the gateway below `target` with one more argument for rustc.
    fn build(&self, target: &Path, argument: &str) -> Result<PathBuf> {
        let mut cargo = cargo::build("portcullis");
        // Naming the target keeps the argument from what runs during the build.
        cargo.args(["--release", "--target", &self.host, "--target-dir"]).arg(target);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", with(argument));
        ensure!(cargo.status()?.success(), "portcullis does not build with {argument}");
        Ok(target.join(&self.host).join("release/portcullis"))
    }
}

/// The arguments for rustc that the environment has, and this one.
fn with(argument: &str) -> OsString {
    let theirs = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_else(|_| {
        let plain = env::var("RUSTFLAGS").unwrap_or_default();
        plain.split_whitespace().collect::<Vec<_>>().join(SEPARATOR)
    });
    let both = [theirs.as_str(), argument];
    both.into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>().join(SEPARATOR).into()
}

fn told(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(place::workspace()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn hash(file: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(file).with_context(|| file.display().to_string())?);
    Ok(hasher.finish())
}

/// Removes these directories and the profiles of gateways that were built before: each would be built anew, beside the other.
fn clear(home: &Path, directories: &[&Path]) -> Result<()> {
    for directory in directories.iter().filter(|directory| directory.exists()) {
        fs::remove_dir_all(directory)?;
    }
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "profdata") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Lets the bench's loads go through a gateway that counts: first without and then with logins, limits and metrics.
fn train(counting: PathBuf) -> Result<()> {
    programs::cargo_build("portcullis-bench")?;
    let programs = Programs::find(counting, "pgo")?;
    let mut leash = Leash::new(None)?;
    let (sink, address) = twins::sink(&programs, &mut leash)?;
    for twin in [Twin::Gateway, Twin::Limited] {
        let mut way = Way::open(twin, &programs, &mut leash, address)?;
        for work in WORKS.iter().filter(|work| trains(work)) {
            measure::run(work.kind, SECONDS, &mut way, &programs, &mut leash).context(work.title)?;
        }
        // It writes down what it counted when it ends by itself.
        way.settle(&mut leash)?;
    }
    sink.finish(&mut leash)
}

fn trains(work: &Work) -> bool {
    matches!(work.kind, Kind::Stream(_) | Kind::Tls(_) | Kind::Connect)
}

fn merge(profdata: &Path, counts: &Path, profile: &Path) -> Result<()> {
    // Half a profile must not pass for one.
    let new = profile.with_extension("new");
    let mut command = Command::new(profdata);
    command.args(["merge", "-o"]).arg(&new).arg(counts);
    must(&mut command, "llvm-profdata merge")?;
    Ok(fs::rename(new, profile)?)
}
