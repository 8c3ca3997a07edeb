//! What `depmod` wrote about a kernel's modules.
//!
//! `modules.dep` has a line `path: path path …` for each module, `modules.builtin` one path a line
//! for what is part of the kernel. `modules.softdep` and `modules.alias` add what a module asks for
//! by another name when it runs, such as ext4 the checksum `crypto-crc32c`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use thiserror::Error;

/// The modules of one kernel, by name; in names `-` and `_` are the same, as for the kernel.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ModuleIndex {
    pub(super) modules: BTreeMap<String, IndexedModule>,
    pub(super) built_in: BTreeSet<String>,
    aliases: BTreeMap<String, Vec<String>>,
}

/// One module of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexedModule {
    /// Below the modules' directory; never absolute and without `..`.
    pub(super) path: String,
    pub(super) dependencies: Vec<String>,
    pub(super) soft_dependencies: Vec<String>,
}

/// The reason why an index of modules was not understood.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseModulesError {
    /// The file is not text.
    #[error("{file} is not UTF-8 text")]
    NotText {
        /// Which file of the index.
        file: &'static str,
    },
    /// A line has another form than `depmod` writes.
    #[error("{file} line {line} {problem}")]
    BadLine {
        /// Which file of the index.
        file: &'static str,
        /// The line, counted from one.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A module needs another one which has no line of its own.
    #[error("modules.dep line {line} names `{dependency}`, which has no line")]
    UnknownDependency {
        /// The line, counted from one.
        line: usize,
        /// The module that is not there.
        dependency: String,
    },
}

impl ModuleIndex {
    /// Reads the contents of `modules.dep` and `modules.builtin`.
    ///
    /// # Errors
    /// When a line has no module's path, a path is absolute or leaves the directory, or a
    /// dependency has no line.
    pub fn parse(dep: &[u8], builtin: &[u8]) -> Result<Self, ParseModulesError> {
        let mut index = Self::default();
        for (number, line) in lines("modules.builtin", builtin)? {
            let name = module_name(line).map_err(bad_line("modules.builtin", number))?;
            index.built_in.insert(name);
        }
        let mut needed = BTreeMap::new();
        for (line, text) in lines("modules.dep", dep)? {
            let bad = bad_line("modules.dep", line);
            let (path, rest) = text.split_once(':').ok_or("has no colon").map_err(&bad)?;
            let name = module_name(path).map_err(&bad)?;
            let dependencies: Vec<String> = rest
                .split_ascii_whitespace()
                .map(module_name)
                .collect::<Result<_, _>>()
                .map_err(&bad)?;
            for dependency in &dependencies {
                needed.entry(dependency.clone()).or_insert(line);
            }
            let module = IndexedModule {
                path: path.to_owned(),
                dependencies,
                soft_dependencies: Vec::new(),
            };
            index.modules.insert(name, module);
        }
        for (dependency, line) in needed {
            if !index.modules.contains_key(&dependency) && !index.built_in.contains(&dependency) {
                return Err(ParseModulesError::UnknownDependency { line, dependency });
            }
        }
        Ok(index)
    }

    /// The index of modules, each with its path and the names of what it needs; a name without a module is taken for one
    /// that is built in.
    pub(super) fn of_modules(
        modules: &[(String, Vec<String>)],
        builtin: &[u8],
    ) -> Result<Self, ParseModulesError> {
        let mut index = Self::parse(b"", builtin)?;
        for (line, (path, dependencies)) in modules.iter().enumerate() {
            let name = module_name(path).map_err(bad_line("a module", line + 1))?;
            let dependencies = dependencies.iter().map(|name| normal(name)).collect();
            let module =
                IndexedModule { path: path.clone(), dependencies, soft_dependencies: Vec::new() };
            index.modules.insert(name, module);
        }
        Ok(index)
    }

    /// Adds what `modules.softdep` and `modules.alias` say; lines for other purposes, and aliases
    /// with wildcards, are passed over.
    ///
    /// # Errors
    /// When a file is not text.
    pub fn add_soft_dependencies(
        &mut self,
        softdep: &[u8],
        alias: &[u8],
    ) -> Result<(), ParseModulesError> {
        for (_, line) in lines("modules.alias", alias)? {
            let mut words = line.split_ascii_whitespace();
            if let (Some("alias"), Some(name), Some(module), None) =
                (words.next(), words.next(), words.next(), words.next())
                && !name.contains(['*', '?', '['])
            {
                self.aliases.entry(normal(name)).or_default().push(normal(module));
            }
        }
        for (_, line) in lines("modules.softdep", softdep)? {
            let mut words = line.split_ascii_whitespace();
            let (Some("softdep"), Some(name)) = (words.next(), words.next()) else { continue };
            let Some(module) = self.modules.get_mut(&normal(name)) else { continue };
            let before = words.skip_while(|word| *word != "pre:").skip(1);
            module.soft_dependencies.extend(before.take_while(|word| *word != "post:").map(normal));
        }
        Ok(())
    }

    /// The modules that an alias stands for, by name; none when it is none.
    pub(super) fn meant_by(&self, alias: &str) -> &[String] {
        self.aliases.get(alias).map_or(&[], Vec::as_slice)
    }
}

/// The lines with something in them, with their numbers.
fn lines<'a>(
    file: &'static str,
    bytes: &'a [u8],
) -> Result<impl Iterator<Item = (usize, &'a str)>, ParseModulesError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ParseModulesError::NotText { file })?;
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    Ok(numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')))
}

fn bad_line(file: &'static str, line: usize) -> impl Fn(&'static str) -> ParseModulesError {
    move |problem| ParseModulesError::BadLine { file, line, problem }
}

/// Checks a module's path and gives the module's name.
fn module_name(path: &str) -> Result<String, &'static str> {
    if path.chars().any(|char| char.is_control() || char.is_whitespace()) {
        return Err("has a path with white space");
    }
    let mut components = Path::new(path).components();
    if path.len() > 1024 || components.clone().any(|part| !matches!(part, Component::Normal(_))) {
        return Err("has a path that leaves the modules' directory");
    }
    let file =
        components.next_back().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    let stem = file_stem(file).filter(|stem| !stem.is_empty());
    stem.map(normal).ok_or("has a path that does not end in .ko")
}

/// The file name of a module without `.ko` and what its compression adds.
pub(super) fn file_stem(file: &str) -> Option<&str> {
    [".ko", ".ko.gz", ".ko.xz", ".ko.zst"].iter().find_map(|ending| file.strip_suffix(ending))
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests;
