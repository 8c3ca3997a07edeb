//! Where the guest's memory is in Firecracker, as Firecracker tells.

use serde::Deserialize;

/// The longest message that is read. Firecracker has a handful of regions.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;

/// More regions than any guest has.
const MAX_REGIONS: usize = 1024;

/// The pages that Linux gives guests: ordinary ones and huge ones of 2 MiB.
const PAGE_SIZES: [u64; 3] = [4 << 10, 2 << 20, 64 << 10];

/// A stretch of the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestRegion {
    /// Where it begins in Firecracker's address space.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Where it begins in the memory file.
    pub offset: u64,
    /// The size of its pages in bytes.
    pub page_size: u64,
}

/// All of the guest's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRegions(Vec<GuestRegion>);

/// A message that describes no guest's memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRegionsError {
    /// It is not JSON of that shape, or not all of it.
    #[error("the message cannot be parsed")]
    Parse(#[source] serde_json::Error),
    /// A region cannot be what it says.
    #[error("region {index} {rule}")]
    Region {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// There are none, or too many.
    #[error("the message names {count} regions")]
    Count {
        /// How many.
        count: usize,
    },
}

impl ParseRegionsError {
    /// Whether the message is only the beginning of one.
    pub(super) fn is_incomplete(&self) -> bool {
        matches!(self, Self::Parse(error) if error.is_eof())
    }
}

/// As Firecracker writes it. Versions before 1.12 call the size of a page `page_size_kib`, and mean
/// bytes all the same; later ones may say more than we know.
#[derive(Deserialize)]
struct Wire {
    base_host_virt_addr: u64,
    size: u64,
    offset: u64,
    page_size: Option<u64>,
    page_size_kib: Option<u64>,
}

impl GuestRegions {
    /// Reads the message that Firecracker sends before its first fault. The regions must be parts of a memory
    /// file of `memory_size` bytes, of which no two are the same: what we keep of each page is bounded by
    /// the file.
    ///
    /// # Errors
    /// When it is no such message, or says what cannot be.
    pub fn parse(message: &[u8], memory_size: u64) -> Result<Self, ParseRegionsError> {
        let wire: Vec<Wire> = serde_json::from_slice(message).map_err(ParseRegionsError::Parse)?;
        if wire.is_empty() || wire.len() > MAX_REGIONS {
            return Err(ParseRegionsError::Count { count: wire.len() });
        }
        let mut regions = Vec::with_capacity(wire.len());
        for (index, wire) in wire.iter().enumerate() {
            let page_size = wire.page_size.or(wire.page_size_kib).unwrap_or(4096);
            let region = GuestRegion {
                start: wire.base_host_virt_addr,
                size: wire.size,
                offset: wire.offset,
                page_size,
            };
            region.check(memory_size).map_err(|rule| ParseRegionsError::Region { index, rule })?;
            regions.push(region);
        }
        regions.sort_by_key(|region| region.start);
        for (index, pair) in regions.windows(2).enumerate() {
            if pair[0].start + pair[0].size > pair[1].start {
                let rule = "is where another one is";
                return Err(ParseRegionsError::Region { index: index + 1, rule });
            }
        }
        let mut parts: Vec<_> = regions.iter().map(|it| (it.offset, it.offset + it.size)).collect();
        parts.sort_unstable();
        if let Some(index) = parts.windows(2).position(|pair| pair[0].1 > pair[1].0) {
            let rule = "has the content of another one";
            return Err(ParseRegionsError::Region { index: index + 1, rule });
        }
        Ok(Self(regions))
    }

    /// The regions, by address.
    #[must_use]
    pub fn as_slice(&self) -> &[GuestRegion] {
        &self.0
    }

    /// The region that an address is in, by its number.
    pub(super) fn find(&self, address: u64) -> Option<(usize, &GuestRegion)> {
        let index = self.0.partition_point(|region| region.start <= address).checked_sub(1)?;
        let region = &self.0[index];
        (address - region.start < region.size).then_some((index, region))
    }
}

impl GuestRegion {
    fn check(&self, memory_size: u64) -> Result<(), &'static str> {
        if !PAGE_SIZES.contains(&self.page_size) {
            return Err("has pages of a size that there is not");
        }
        if self.size == 0 || !self.size.is_multiple_of(self.page_size) {
            return Err("is no whole number of pages");
        }
        if !self.start.is_multiple_of(self.page_size) || self.start.checked_add(self.size).is_none()
        {
            return Err("is at no address of a page");
        }
        if self.offset.checked_add(self.size).is_none_or(|end| end > memory_size) {
            return Err("is not in the memory file");
        }
        Ok(())
    }

    /// How many pages it has.
    pub(super) fn pages(&self) -> u64 {
        self.size / self.page_size
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = r#"[{"base_host_virt_addr":1048576,"size":8192,"offset":4096,
        "page_size":4096,"page_size_kib":4096}]"#;

    #[test]
    fn firecrackers_message_is_read() {
        let regions = GuestRegions::parse(ONE.as_bytes(), 12288).unwrap();
        let region = GuestRegion { start: 1 << 20, size: 8192, offset: 4096, page_size: 4096 };
        assert_eq!(regions.as_slice(), [region]);
        assert_eq!(regions.find((1 << 20) + 8191), Some((0, &region)));
        assert_eq!(regions.find((1 << 20) + 8192), None);
        assert_eq!(regions.find((1 << 20) - 1), None);
        let old = ONE.replace("\"page_size\":4096,", "");
        assert_eq!(GuestRegions::parse(old.as_bytes(), 12288).unwrap(), regions);
    }

    #[test]
    fn half_a_message_is_told_from_a_wrong_one() {
        for length in 1..ONE.len() {
            let error = GuestRegions::parse(&ONE.as_bytes()[..length], 12288).unwrap_err();
            assert!(error.is_incomplete(), "{length}: {error}");
        }
        assert!(!GuestRegions::parse(b"[]", 1).unwrap_err().is_incomplete());
        assert!(!GuestRegions::parse(b"{}", 1).unwrap_err().is_incomplete());
    }

    #[test]
    fn memory_that_cannot_be_is_refused() {
        let refused = |from: &str, to: &str| {
            GuestRegions::parse(ONE.replace(from, to).as_bytes(), 12288).unwrap_err().to_string()
        };
        assert!(refused("8192", "12288").contains("not in the memory file"));
        assert!(refused("8192", "8191").contains("whole number"));
        assert!(refused("1048576", "1048577").contains("address"));
        assert!(refused("1048576", "18446744073709547520").contains("address"));
        assert!(refused("\"page_size\":4096", "\"page_size\":0").contains("pages of a size"));
        let twice = format!("[{0},{0}]", ONE.trim_matches(['[', ']']));
        let error = GuestRegions::parse(twice.as_bytes(), 12288).unwrap_err().to_string();
        assert!(error.contains("where another one is"), "{error}");
        let elsewhere = ONE.replace("1048576", "2097152");
        let same =
            format!("[{},{}]", ONE.trim_matches(['[', ']']), elsewhere.trim_matches(['[', ']']));
        let error = GuestRegions::parse(same.as_bytes(), 12288).unwrap_err().to_string();
        assert!(error.contains("content of another one"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_is_read_lies_in_the_file_and_in_order(
            regions in prop::collection::vec((any::<u64>(), 0_u64..1 << 24, 0_u64..1 << 24), 1..4),
        ) {
            let wire: Vec<_> = regions
                .iter()
                .map(|(start, size, offset)| format!(
                    "{{\"base_host_virt_addr\":{},\"size\":{},\"offset\":{offset}}}",
                    start & !4095, size & !4095,
                ))
                .collect();
            let text = format!("[{}]", wire.join(","));
            if let Ok(read) = GuestRegions::parse(text.as_bytes(), 1 << 24) {
                for region in read.as_slice() {
                    prop_assert!(region.offset + region.size <= 1 << 24);
                    prop_assert_eq!(read.find(region.start).unwrap().1, region);
                    prop_assert_eq!(read.find(region.start + region.size - 1).unwrap().1, region);
                }
            }
        }

        #[test]
        fn no_bytes_are_anything_but_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = GuestRegions::parse(&bytes, 1 << 20);
        }
    }
}
