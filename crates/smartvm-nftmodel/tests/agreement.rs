//! What the rules do is what policies and docs/SECURITY.md say, for networks and packets of chance.

use proptest::collection::vec;
use proptest::prelude::*;
use smartvm_nftmodel::{Host, Oracle, chance};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn rules_do_with_packets_what_the_policies_say(
        (scene, attempts) in chance::scene().prop_flat_map(|scene| {
            let attempts = vec(chance::attempt(&scene), 40);
            (Just(scene), attempts)
        })
    ) {
        let rules = scene.rules();
        let (host, oracle) = (Host::new(&scene, &rules), Oracle::new(&scene));
        for attempt in &attempts {
            let led = host.lead(attempt);
            prop_assert_eq!(
                host.arrival(attempt), oracle.arrival(attempt), "{:?}: {:?}", attempt, led
            );
        }
    }
}
