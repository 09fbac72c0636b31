//! Skimming a Produce request tells what walking it tells, however its bytes arrive.

use proptest::prelude::*;
use wire::error::Malformed;
use wire::meter::{Echo, Skimmer, Topic, Visit};
use wire::walk::Walker;

use crate::dice::Dice;
use crate::messages::{self, encode};

/// Topics, each with its partitions.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard(Vec<(Vec<u8>, Vec<i32>)>);

impl Visit for Heard {
    fn topic(&mut self, topic: Topic<'_>) {
        let key = match topic {
            Topic::Name(name) => [b"name ", name].concat(),
            Topic::Id(id) => [&b"id "[..], &id].concat(),
        };
        self.0.push((key, Vec::new()));
    }

    fn partition(&mut self, index: i32) {
        self.0.last_mut().unwrap().1.push(index);
    }

    fn records(&mut self, _: u64, _: u64) {}
}

/// What is heard, and whether the request came to its end.
fn skim(version: i16, body: &[u8], mut piece: impl FnMut() -> usize) -> Result<(Heard, bool), Malformed> {
    let (mut skimmer, mut heard, mut rest) = (Skimmer::new(version), Heard::default(), body);
    while !rest.is_empty() {
        let (bytes, after) = rest.split_at(piece().clamp(1, rest.len()));
        skimmer.feed(bytes, &mut heard)?;
        rest = after;
    }
    Ok((heard, skimmer.in_tail()))
}

fn walk(version: i16, body: &[u8]) -> Result<(Heard, bool), Malformed> {
    let (mut walker, mut heard) = (Walker::produce_request(version), Heard::default());
    walker.feed_to(body, &mut heard)?;
    Ok((heard, walker.in_tail()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_request_is_heard_as_it_is_walked(seed: u64) {
        let dice = &mut Dice(seed);
        for version in 3..=13 {
            let mut request = messages::produce_request(dice, version);
            if dice.yes() {
                // As most are.
                request.transactional_id = None;
                request.topic_data.truncate(1);
                request.topic_data.iter_mut().for_each(|topic| topic.partition_data.truncate(1));
            }
            let body = encode(&request, version);
            let walked = walk(version, &body).unwrap();
            prop_assert!(walked.1);
            prop_assert_eq!(skim(version, &body, || usize::MAX).unwrap(), walk(version, &body).unwrap());
            prop_assert_eq!(skim(version, &body, || 1).unwrap(), walk(version, &body).unwrap());
            for _ in 0..8 {
                let most = 1 + dice.below(100);
                let skimmed = skim(version, &body, || usize::try_from(1 + dice.below(most)).unwrap()).unwrap();
                prop_assert_eq!(&skimmed, &walked);
            }
            for end in 0..body.len().min(300) {
                let is_whole = |heard: Result<(Heard, bool), Malformed>| heard.unwrap().1;
                let skimmed = skim(version, &body[..end], || usize::MAX);
                prop_assert_eq!(is_whole(skimmed), is_whole(walk(version, &body[..end])));
            }
        }
    }

    #[test]
    fn any_bytes_are_skimmed_without_harm_and_alike_in_any_pieces(
        bytes in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..200),
        version in 0_i16..=13,
        seed: u64,
    ) {
        let dice = &mut Dice(seed);
        let whole = skim(version, &bytes, || usize::MAX);
        prop_assert_eq!(&whole, &skim(version, &bytes, || 1));
        prop_assert_eq!(&whole, &skim(version, &bytes, || usize::try_from(1 + dice.below(9)).unwrap()));
        match (whole, walk(version, &bytes)) {
            (Ok(skimmed), Ok(walked)) if walked.1 => prop_assert_eq!(skimmed, walked),
            (Ok(skimmed), Ok(_)) => prop_assert!(!skimmed.1),
            // A string longer than Kafka's is walked, and not skimmed.
            (Err(_), Ok(walked)) => prop_assert!(!walked.1),
            (skimmed, Err(_)) => prop_assert!(skimmed.is_err()),
        }
    }
}

#[test]
fn an_echo_of_few_and_one_of_many_are_read_back_alike() {
    for partitions in [0, 1, 4, 5, 300] {
        for names in [
            &["t"][..],
            &["t", "other"],
            &["a-name-that-is-too-long-to-be-kept-in-place-and-goes-to-the-heap"],
        ] {
            let (mut echo, mut heard) = (Echo::new(), Heard::default());
            for name in names {
                for visit in [&mut echo as &mut dyn Visit, &mut heard] {
                    visit.topic(Topic::Name(name.as_bytes()));
                    (0..partitions).for_each(|index| visit.partition(index));
                }
            }
            let mut read = Heard::default();
            for echoed in echo.topics() {
                read.topic(echoed.topic);
                echoed.partitions.iter().for_each(|index| read.partition(*index));
            }
            assert!(echo.is_whole());
            assert_eq!(echo.topics().len(), names.len());
            assert_eq!(read, heard);
        }
    }
}
