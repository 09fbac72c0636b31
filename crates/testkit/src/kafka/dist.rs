//! Apache Kafka by Maven coordinates: the jars of one version in a cache below the target directory.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place;

/// The jars of one version.
#[derive(Clone, Debug)]
pub struct Dist {
    /// Kafka's version, as Maven knows it.
    pub version: String,
    directory: PathBuf,
}

impl Dist {
    /// The jars of this version; fetched by Maven when they are not in the cache yet.
    pub fn fetch(version: &str) -> Result<Dist> {
        if version.is_empty() || !version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-') {
            bail!("{version:?} is no version of Kafka");
        }
        let cache = place::target().join("kafka-dist");
        let directory = cache.join(version);
        let dist = Dist { version: version.to_owned(), directory };
        if dist.directory.is_dir() {
            return Ok(dist);
        }
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
        // One process fetches, the others wait for it; the rename makes the cache whole or absent.
        let lock = File::create(cache.join(format!("{version}.lock")))?;
        lock.lock()?;
        if !dist.directory.is_dir() {
            let filling = cache.join(format!("{version}.filling"));
            if filling.exists() {
                fs::remove_dir_all(&filling)?;
            }
            fill(version, &filling)?;
            fs::rename(&filling, &dist.directory)?;
        }
        Ok(dist)
    }

    /// What `-cp` is given.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.directory.display())
    }

    /// The jar of an artifact of Kafka's own, e.g. `kafka-clients`.
    pub fn jar(&self, artifact: &str) -> PathBuf {
        self.directory.join(format!("{artifact}-{}.jar", self.version))
    }

    /// Kafka 4 logs by log4j 2, Kafka 3 by reload4j.
    pub fn is_before_4(&self) -> bool {
        is_before_4(&self.version)
    }
}

/// The `java` that is used: of `JAVA_HOME`, else of the path.
pub fn java() -> PathBuf {
    match env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin/java"),
        None => PathBuf::from("java"),
    }
}

pub(super) fn is_before_4(version: &str) -> bool {
    matches!(version.split('.').next(), Some("0" | "1" | "2" | "3"))
}

fn fill(version: &str, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let pom = directory.join("pom.xml");
    fs::write(&pom, pom_text(version))?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", directory.display()))
        .output()
        .context("cannot start mvn; Apache Maven is needed to get Apache Kafka")?;
    if !output.status.success() {
        bail!(
            "mvn cannot get Kafka {version} ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn pom_text(version: &str) -> String {
    let (group, artifact, logging) = if is_before_4(version) {
        ("org.slf4j", "slf4j-reload4j", "1.7.36")
    } else {
        ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.3")
    };
    let dependencies: String = [
        ("org.apache.kafka", "kafka_2.13", version),
        ("org.apache.kafka", "kafka-tools", version),
        (group, artifact, logging),
    ]
    .map(|(group, artifact, version)| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    })
    .concat();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>portcullis</groupId><artifactId>kafka-dist</artifactId><version>1</version>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}
