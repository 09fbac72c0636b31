//! Kafka's own load, `kafka-producer-perf-test` and `kafka-consumer-perf-test`, on a real broker.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Advertise, KAFKA_NEW, KafkaCluster, NewTopic, Spec};

use super::counters;
use super::instructions::Depth;
use super::measure::Sample;
use super::twins::{Entry, Way};
use super::works::Tool;

const RECORD_BYTES: u32 = 1024;
const PARTITIONS: i32 = 6;
/// What a producer writes in one run,
const PRODUCED: u32 = 400_000;
/// and a consumer reads.
const CONSUMED: u32 = 1_500_000;
/// Of a quick run.
const RECORDS_QUICK: u32 = 50_000;
const TOPIC_PRODUCED: &str = "bench-produced";
const TOPIC_CONSUMED: &str = "bench-consumed";
/// For one run of a tool, JVM included.
const LIMIT: Duration = Duration::from_mins(3);
/// What is written again and again is not kept; what is read again and again is less than this.
const PROPERTIES: [(&str, &str); 4] = [
    ("log.retention.bytes", "402653184"),
    ("log.segment.bytes", "67108864"),
    ("log.retention.check.interval.ms", "5000"),
    ("log.segment.delete.delay.ms", "1000"),
];
const MIB: f64 = 1024.0 * 1024.0;

/// One broker with two topics.
pub(crate) struct Broker {
    cluster: KafkaCluster,
    /// Where clients and gateways find it.
    pub(crate) address: SocketAddr,
    depth: Depth,
}

impl Broker {
    /// Starts it.
    pub(crate) fn start(depth: Depth) -> Result<Broker> {
        let mut spec = Spec::new(KAFKA_NEW, 1).advertising(Advertise::Loopback);
        spec.properties.extend(PROPERTIES.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let cluster = KafkaCluster::start(spec)?;
        let topic = |name: &str| NewTopic {
            name: name.to_owned(),
            partitions: PARTITIONS,
            replicas: 1,
            in_sync_min: 1,
        };
        cluster.create_topics(&[topic(TOPIC_PRODUCED), topic(TOPIC_CONSUMED)])?;
        let bootstrap = cluster.bootstrap();
        let address = bootstrap.first().context("no broker")?.parse()?;
        Ok(Broker { cluster, address, depth })
    }

    /// Makes what this tool needs: a consumer reads what lies there already, and nobody is the first.
    pub(crate) fn prepare(&self, tool: Tool) -> Result<()> {
        match tool {
            Tool::Producer => self.produce(TOPIC_PRODUCED, RECORDS_QUICK, self.address)?,
            Tool::Consumer => self.produce(TOPIC_CONSUMED, self.consumed(), self.address)?,
        };
        Ok(())
    }

    fn consumed(&self) -> u32 {
        if self.depth == Depth::Full { CONSUMED } else { RECORDS_QUICK }
    }

    /// Runs the tool once this way.
    pub(crate) fn run(&self, tool: Tool, way: &mut Way) -> Result<Sample> {
        let (_, address) = way.entrance(Entry::Plain)?;
        let before = way.pid().map(counters::cpu).transpose()?;
        let (mut sample, records) = match tool {
            Tool::Producer => {
                let records = if self.depth == Depth::Full { PRODUCED } else { RECORDS_QUICK };
                (self.produce(TOPIC_PRODUCED, records, address)?, records)
            }
            Tool::Consumer => (self.consume(address)?, self.consumed()),
        };
        let after = way.pid().map(counters::cpu).transpose()?;
        way.stands()?;
        let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        let gib = f64::from(records) * f64::from(RECORD_BYTES) / MIB / 1024.0;
        sample.cpu_ms_per_gib = cpu.map(|cpu| cpu.as_secs_f64() * 1e3 / gib);
        sample.rss_kib = None;
        Ok(sample)
    }

    fn produce(&self, topic: &str, records: u32, address: SocketAddr) -> Result<Sample> {
        let (records, record_bytes) = (records.to_string(), RECORD_BYTES.to_string());
        let bootstrap = format!("bootstrap.servers={address}");
        let arguments = [
            "--topic",
            topic,
            "--num-records",
            &records,
            "--record-size",
            &record_bytes,
            "--throughput",
            "-1",
            "--command-property",
            &bootstrap,
        ];
        let told = self.cluster.tool("kafka-producer-perf-test", &arguments)?.limit(LIMIT).run()?.ok()?;
        produced(&told).with_context(|| format!("kafka-producer-perf-test said: {told}"))
    }

    fn consume(&self, address: SocketAddr) -> Result<Sample> {
        let (records, bootstrap) = (self.consumed().to_string(), address.to_string());
        let arguments =
            ["--topic", TOPIC_CONSUMED, "--num-records", &records, "--bootstrap-server", &bootstrap];
        let told = self.cluster.tool("kafka-consumer-perf-test", &arguments)?.limit(LIMIT).run()?.ok()?;
        let (sample, found) =
            consumed(&told).with_context(|| format!("kafka-consumer-perf-test said: {told}"))?;
        ensure!(found >= f64::from(self.consumed()), "{found} records in place of {records}");
        Ok(sample)
    }
}

/// The last line of a producer: of all records.
fn produced(told: &str) -> Option<Sample> {
    let line = told.lines().rfind(|line| line.contains("99.9th"))?;
    let before = |unit: &str| {
        let (number, _) = line.split_once(unit)?;
        number.rsplit([' ', '(']).next()?.parse::<f64>().ok()
    };
    Some(Sample {
        mib_per_second: before(" MB/sec")?,
        requests_per_second: before(" records/sec")?,
        p50_us: before(" ms 50th")? * 1e3,
        p99_us: before(" ms 99th")? * 1e3,
        ..Sample::default()
    })
}

/// The table of a consumer, and how many records it took. The time in which it joins its group is left out: it is of
/// seconds, is not throughput, and hides it.
fn consumed(told: &str) -> Option<(Sample, f64)> {
    let mut lines = told.lines().skip_while(|line| !line.contains("fetch.MB.sec"));
    let titles = lines.next()?.split(',').map(str::trim);
    let values = lines.next()?.split(',').map(str::trim);
    let table: Vec<(&str, &str)> = titles.zip(values).collect();
    let of = |title: &str| table.iter().find(|(found, _)| *found == title)?.1.parse::<f64>().ok();
    let sample = Sample {
        mib_per_second: of("fetch.MB.sec")?,
        requests_per_second: of("fetch.nMsg.sec")?,
        ..Sample::default()
    };
    Some((sample, of("data.consumed.in.nMsg")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test; numbers are parsed, not calculated")]
    use super::{consumed, produced};

    #[test]
    fn the_last_line_of_a_producer_is_read() {
        let told = "9 records sent, 1.0 records/sec (0.00 MB/sec), 1.0 ms avg latency, 1.0 ms max latency.\n\
                    400000 records sent, 95238.1 records/sec (93.01 MB/sec), 310.20 ms avg latency, 600.00 ms max \
                    latency, 300 ms 50th, 480 ms 95th, 520 ms 99th, 560 ms 99.9th.\n";
        let sample = produced(told).unwrap();
        assert_eq!((sample.mib_per_second, sample.requests_per_second), (93.01, 95238.1));
        assert_eq!((sample.p50_us, sample.p99_us), (300_000.0, 520_000.0));
    }

    #[test]
    fn the_table_of_a_consumer_is_read_by_its_titles() {
        let told = "WARNING: something\nstart.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, \
                    nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n2026-01-01 00:00:00:000, \
                    2026-01-01 00:00:05:000, 976.5625, 195.3125, 1000000, 200000.0, 3000, 2000, 488.2813, 500000.0\n";
        let (sample, records) = consumed(told).unwrap();
        assert_eq!((sample.mib_per_second, sample.requests_per_second), (488.2813, 500_000.0));
        assert_eq!(records, 1_000_000.0);
    }
}
