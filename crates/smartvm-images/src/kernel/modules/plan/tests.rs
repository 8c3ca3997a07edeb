use proptest::prelude::*;

use super::*;

fn plan(dep: &str, builtin: &str) -> Result<LoadPlan, &'static [&'static str]> {
    ModuleIndex::parse(dep.as_bytes(), builtin.as_bytes()).unwrap().plan()
}

#[test]
fn every_module_comes_after_what_it_depends_on_and_once() {
    let plan = plan(
        "virtio_ring.ko:\n\
         virtio.ko: virtio_ring.ko\n\
         virtio_mmio.ko: virtio.ko virtio_ring.ko\n\
         virtio_blk.ko: virtio.ko virtio_ring.ko\n\
         failover.ko:\n\
         net_failover.ko: failover.ko\n\
         virtio_net.ko: net_failover.ko failover.ko virtio.ko virtio_ring.ko\n\
         unrelated.ko:",
        "kernel/fs/ext4/ext4.ko\n",
    )
    .unwrap();
    let expected = [
        "virtio_ring",
        "virtio",
        "virtio_mmio",
        "virtio_blk",
        "failover",
        "net_failover",
        "virtio_net",
    ];
    assert_eq!(plan.load, expected);
    assert_eq!(plan.built_in, ["ext4"]);
    assert!(plan.missing.contains(&"squashfs".to_owned()));
    assert!(!plan.missing.contains(&"virtio_blk".to_owned()));
}

#[test]
fn a_kernel_with_everything_built_in_needs_no_module() {
    let plan = plan("", "a/virtio_mmio.ko\na/virtio_blk.ko\n").unwrap();
    assert!(plan.load.is_empty());
    assert_eq!(plan.built_in, ["virtio_mmio", "virtio_blk"]);
}

#[test]
fn a_kernel_that_could_not_find_its_drive_is_refused() {
    assert_eq!(plan("virtio_mmio.ko:", "").unwrap_err(), ["virtio_blk"]);
    assert_eq!(plan("virtio_blk.ko:", "").unwrap_err(), ["virtio_mmio", "virtio_pci"]);
    assert!(plan("virtio_blk.ko:\nvirtio_pci.ko:", "").is_ok());
}

#[test]
fn circles_end_and_deep_chains_do_not_overflow_the_stack() {
    let circle = "virtio_mmio.ko: a.ko\na.ko: b.ko\nb.ko: a.ko virtio_mmio.ko\nvirtio_blk.ko:";
    assert_eq!(plan(circle, "").unwrap().load, ["b", "a", "virtio_mmio", "virtio_blk"]);
    let mut chain = "virtio_mmio.ko:\nvirtio_blk.ko: m0.ko\n".to_owned();
    for at in 0..100_000 {
        chain.push_str(&format!("m{at}.ko: m{}.ko\n", at + 1));
    }
    chain.push_str("m100000.ko:\n");
    let load = plan(&chain, "").unwrap().load;
    assert_eq!(load.len(), 100_003);
    assert_eq!(load[1], "m100000");
}

#[test]
fn what_an_alias_stands_for_comes_before_all_that_ask_for_it() {
    let dep = b"virtio_mmio.ko: a.ko\nvirtio_blk.ko: b.ko\na.ko:\nb.ko:\ncrc1.ko: a.ko\ncrc2.ko:\n";
    let mut index = ModuleIndex::parse(dep, b"").unwrap();
    let softdep = b"softdep a pre: crc\nsoftdep b pre: crc\nsoftdep crc2 pre: crc\n";
    index.add_soft_dependencies(softdep, b"alias crc crc1\nalias crc crc2\n").unwrap();
    let load = index.plan().unwrap().load;
    let at = |name: &str| load.iter().position(|loaded| loaded == name).unwrap();
    assert!(at("crc2") < at("a") && at("crc2") < at("b") && at("crc1") < at("b"), "{load:?}");
    assert_eq!(load.len(), 6);
}

proptest! {
    /// Modules m0…m9, each needing some of those before it: whatever the order of the lines, every
    /// module is loaded after all that it needs.
    #[test]
    fn the_order_is_topological(
        needs in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 9), 10),
    ) {
        let name = |at: usize| match at {
            8 => "virtio_mmio".to_owned(),
            9 => "virtio_blk".to_owned(),
            other => format!("m{other}"),
        };
        let needed = |at: usize| (0..at).filter(|other| needs[at][*other]).map(name).collect::<Vec<_>>();
        let dep: String = (0..10)
            .rev()
            .map(|at| {
                let needed: String = needed(at).iter().map(|name| format!(" {name}.ko")).collect();
                format!("{}.ko:{needed}\n", name(at))
            })
            .collect();
        let load = plan(&dep, "").unwrap().load;
        for (position, loaded) in load.iter().enumerate() {
            let at = (0..10).find(|at| name(*at) == *loaded).unwrap();
            for needed in needed(at) {
                let before = load.iter().position(|other| *other == needed);
                prop_assert!(before.is_some_and(|before| before < position), "{loaded} {needed}");
            }
        }
    }
}
