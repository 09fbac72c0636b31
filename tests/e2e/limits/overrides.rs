//! Amounts for single users and clients, with Kafka's precedence.

use super::field::{Field, Player};
use super::play::{Row, play};
use super::program::PROGRAMS;
use super::table::{Allows, Case, Key, Kind};
use crate::ground::Ground;

/// Who an override is for, and how many KiB it grants each second.
const OVERRIDES: [(&str, u32); 7] = [
    ("principal = \"over.a\"\nclient_id = \"over.exact\"", 120),
    ("principal = \"over.a\"\nclient_id = \"<default>\"", 100),
    ("principal = \"over.b\"", 80),
    ("principal = \"<default>\"\nclient_id = \"over.named\"", 60),
    ("principal = \"<default>\"\nclient_id = \"over.both\"", 30),
    ("principal = \"<default>\"\nclient_id = \"<default>\"", 50),
    ("client_id = \"over.lone\"", 40),
];

/// User, client, and what is theirs.
const WHOSE: [(&str, &str, u32); 6] = [
    ("a", "exact", 120),
    // Who the user is comes before what the client is called.
    ("a", "both", 100),
    ("b", "any", 80),
    ("c", "named", 60),
    ("c", "other", 50),
    ("c", "lone", 50),
];

/// Each user and client has what the closest override grants: here it is sent, with a program for each.
pub(super) fn the_closest_is_in_force(ground: &Ground) {
    let limit = "[[limit]]\nname = \"over\"\nkind = \"bytes\"\nby = [\"principal\", \"client_id\"]\n\
                 match = { principal = [\"over.*\"] }\nproduce_rate = \"1MiB/s\"\n";
    let overrides = OVERRIDES
        .map(|(whose, kib)| format!("[[limit.override]]\n{whose}\nproduce_rate = \"{kib}KiB/s\"\n"))
        .concat();
    let field = Field::new(ground, &(limit.to_owned() + &overrides), &["over"], 0);
    let row = |(number, (user, client, kib)): (usize, &(&str, &str, u32))| -> Row {
        let rate = kib << 10;
        let case = Case {
            name: "over",
            kind: Kind::ProduceBytes,
            by: Key::ClientId,
            matches: "",
            allows: Allows::Rate { rate, burst: rate },
        };
        let player: Player = field.player("over", PROGRAMS[number]).of_subject(client).named(user, client);
        (case, vec![vec![player]])
    };
    play(&field, &WHOSE.iter().enumerate().map(row).collect::<Vec<_>>());
}
