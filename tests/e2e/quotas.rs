//! Brokers' own quotas, brought over.

use std::time::Duration;

use testkit::{Gateway, GatewayConfig, Tool, wait};

use crate::ground::{BINARY, Ground, scenarios};

scenarios! {
    both: imported_quotas_are_limits;
    full:;
    new:;
}

/// Far more than any test needs, and of users and clients that there are not.
const QUOTAS: [(&[&str], &str); 4] = [
    (
        &[
            "--entity-type",
            "users",
            "--entity-name",
            "import \"quoted\"",
            "--entity-type",
            "clients",
            "--entity-default",
        ],
        "producer_byte_rate=1073741824,request_percentage=1000000",
    ),
    (&["--entity-type", "users", "--entity-name", "importer"], "consumer_byte_rate=2147483648"),
    (&["--entity-type", "clients", "--entity-name", "importing"], "controller_mutation_rate=100000.5"),
    (&["--entity-type", "ips", "--entity-name", "192.0.2.1"], "connection_creation_rate=100000"),
];

fn alter(ground: &Ground, change: impl Fn(&str) -> [String; 2]) {
    for (entity, quotas) in QUOTAS {
        let [change, value] = change(quotas);
        let internal = ground.cluster.internal();
        let tool =
            ground.cluster.tool("kafka-configs", &["--bootstrap-server", &internal, "--alter"]).unwrap();
        tool.args(entity).args(&[&change, &value]).run().unwrap().ok().unwrap();
    }
}

fn imported_quotas_are_limits(ground: &Ground) {
    alter(ground, |quotas| ["--add-config".into(), quotas.into()]);
    let file = ground.gateway.directory().join("proxy.toml");
    let import = || Tool::program("import", BINARY).args(&["quotas", "import"]).path("--cluster=main", &file);
    let expected = [
        "principal = \"import \\\"quoted\\\"\"\nclient_id = \"<default>\"\nproduce_rate = \"1GiB/s\"\n",
        "principal = \"importer\"\nfetch_rate = \"2GiB/s\"\n",
        "client_id = \"importing\"\nrate = 100000.5\n",
        "address = \"192.0.2.1\"\nrate = 100000\n",
        "request_percentage = 1000000\n",
    ];
    // Each broker hears of quotas in its own time.
    let mut imported = String::new();
    let all = wait::until("all quotas", Duration::from_mins(1), || {
        imported = import().run()?.ok()?;
        Ok(expected.iter().all(|expected| imported.contains(expected)).then_some(()))
    });
    alter(ground, |quotas| {
        let keys = quotas.split(',').filter_map(|quota| quota.split('=').next());
        ["--delete-config".into(), keys.collect::<Vec<_>>().join(",")]
    });
    all.unwrap_or_else(|error| panic!("{error:#}: of {expected:#?} there is only\n{imported}"));
    let mut config = GatewayConfig::in_front_of(&ground.cluster).unwrap();
    config.more.push_str(&imported);
    let gateway = Gateway::start(BINARY, &config).unwrap();
    let (status, limits) = gateway.http("/limits?principal=importer&api=Fetch").unwrap();
    assert_eq!(status, 200);
    assert!(limits.contains("main-fetch-quota"), "{limits}");
}
