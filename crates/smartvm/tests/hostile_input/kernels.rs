use smartvm_images::{Ext4Superblock, KernelImage, ModuleIndex, open_kernel_containers};
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded, taken};

const MIB: u64 = 1 << 20;

/// A boot image with this payload.
fn boot_image(payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 0x400];
    image[0x1f1] = 1;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    let length = u32::try_from(payload.len()).unwrap();
    image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
    image.extend_from_slice(payload);
    image
}

fn with_size(mut packed: Vec<u8>, size: usize) -> Vec<u8> {
    packed.extend(u32::try_from(size).unwrap().to_le_bytes());
    packed
}

#[test]
fn a_kernel_takes_memory_as_it_is_when_it_is_unpacked() {
    use std::io::Write as _;
    let zeros = vec![0; 16 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let zstd = zstd::bulk::compress(&zeros, 1).unwrap();
    let blocks = zeros.chunks(8 << 20).flat_map(|chunk| {
        let block = lz4_flex::block::compress(chunk);
        [&u32::try_from(block.len()).unwrap().to_le_bytes()[..], &block].concat()
    });
    let lz4: Vec<u8> = 0x184c_2102_u32.to_le_bytes().into_iter().chain(blocks).collect();
    for (name, packed) in [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", with_size(zstd, zeros.len())),
        ("LZ4", with_size(lz4, zeros.len())),
    ] {
        let image = boot_image(&packed);
        let used = taken(|| KernelImage::parse(&image).unwrap().vmlinux().unwrap_err());
        // What grows by doubling has twice as much for a moment, and its former self beside it.
        assert!(used.peak <= 3 * zeros.len() as u64 + 9 * MIB, "{name}: {used:?}");
    }
}

#[test]
fn a_kernel_in_containers_takes_memory_as_it_is_when_it_is_unpacked() {
    use std::io::Write as _;
    let packed = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let zeros = vec![0; 16 << 20];
    let once = packed(&zeros);
    for (name, file) in [("once", once.clone()), ("twice", packed(&once))] {
        let used = taken(|| open_kernel_containers(file).unwrap().len());
        assert!(used.peak <= 3 * zeros.len() as u64 + 9 * MIB, "{name}: {used:?}");
    }
    // As many sections as a header can say, none of which is a kernel.
    let mut many = vec![0; (64 + 24 + 65535 * 40) as usize];
    many[..2].copy_from_slice(b"MZ");
    many[0x3c] = 64;
    many[64..72].copy_from_slice(b"PE\0\0\x64\x86\xff\xff");
    let length = many.len() as u64;
    let used = taken(|| open_kernel_containers(many).unwrap().len());
    assert!(used.total <= length, "{used:?}");
}

#[test]
fn a_kernel_that_is_not_packed_is_not_copied_until_it_is_asked_for() {
    let mut image = boot_image(&[]);
    image.resize(8 << 20, 0);
    let used = taken(|| KernelImage::parse(&image).map(|it| it.version().is_some()));
    assert!(used.total < 4096, "{used:?}");
    // The most headers that an ELF file can have.
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64 + 65535 * 56, 0);
    for (at, value) in [(0x10, 2_u16), (0x12, 62), (0x20, 64), (0x36, 56), (0x38, 65535)] {
        elf[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let used = taken(|| KernelImage::parse(&elf).unwrap().vmlinux().unwrap_err());
    assert!(used.peak < 8 * MIB, "{used:?}");
}

#[test]
fn a_superblock_takes_nothing() {
    let mut image = vec![0xff; 4096];
    image[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
    assert_eq!(taken(|| Ext4Superblock::parse(&image).unwrap_err()).total, 0);
}

#[test]
fn an_index_of_modules_takes_memory_and_work_as_its_text_does() {
    let drivers = "virtio_mmio.ko:\nvirtio_blk.ko:\n";
    let bound = Bound { per_byte: 100, fixed: MIB };
    let read = |text: &[u8]| {
        let mut files = text.split(|byte| *byte == 0);
        let mut next = || files.next().unwrap_or_default();
        let mut index = ModuleIndex::parse(next(), next()).unwrap();
        index.add_soft_dependencies(next(), next()).unwrap();
        index.load_order().unwrap()
    };
    let lines = |line: &dyn Fn(usize) -> String, count| (0..count).map(line).collect::<String>();
    let many = |count| lines(&|n| format!("m{n}.ko:\n"), count);
    assert_reading_is_bounded(
        "modules",
        2000,
        bound,
        |count| format!("{drivers}{}", many(count)).into_bytes(),
        read,
    );
    // Every module asks for a name that stands for every module.
    let all_ask_for_all = |count| {
        let ask = lines(&|n| format!("softdep m{n} pre: all\n"), count);
        let are = lines(&|n| format!("alias all m{n}\n"), count);
        let first = "softdep virtio_blk pre: all\n";
        format!("{drivers}{}\0\0{first}{ask}\0{are}", many(count)).into_bytes()
    };
    assert_reading_is_bounded("soft dependencies", 500, bound, all_ask_for_all, read);
    let chain = |count| {
        let each = lines(&|n| format!("m{n}.ko: m{}.ko\n", n + 1), count);
        format!("virtio_mmio.ko: m0.ko\nvirtio_blk.ko:\n{each}m{count}.ko:\n").into_bytes()
    };
    assert_reading_is_bounded("a chain", 2000, bound, chain, read);
}
