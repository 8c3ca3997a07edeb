//! Any bytes as `modules.dep`, `modules.builtin`, `modules.softdep` and `modules.alias`, separated
//! by zero bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_images::ModuleIndex;

fuzz_target!(|bytes: &[u8]| {
    let mut files = bytes.splitn(4, |byte| *byte == 0);
    let mut next = || files.next().unwrap_or_default();
    let (dep, builtin, softdep, alias) = (next(), next(), next(), next());
    if let Ok(mut index) = ModuleIndex::parse(dep, builtin) {
        let _ = index.add_soft_dependencies(softdep, alias);
        let _ = index.load_order();
    }
});
