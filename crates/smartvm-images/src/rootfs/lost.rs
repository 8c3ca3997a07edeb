//! What of a source cannot be kept.

/// How many are told one by one: a source may have millions.
const TOLD: usize = 200;

/// Sentences about what is lost, as many as a person reads.
#[derive(Debug, Default)]
pub(super) struct Lost {
    told: Vec<String>,
    more: u64,
}

impl Lost {
    pub(super) fn push(&mut self, what: impl Into<String>) {
        if self.told.len() < TOLD {
            self.told.push(what.into());
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_sentences(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told
    }
}

impl<W: Into<String>> Extend<W> for Lost {
    fn extend<I: IntoIterator<Item = W>>(&mut self, sentences: I) {
        sentences.into_iter().for_each(|sentence| self.push(sentence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_losses_are_a_short_list_with_their_number() {
        let mut lost = Lost::default();
        lost.extend((0..1_000_000).map(|number| number.to_string()));
        let sentences = lost.into_sentences();
        assert_eq!((sentences.len(), sentences[0].as_str()), (TOLD + 1, "0"));
        assert_eq!(sentences[TOLD], "and 999800 more");
    }
}
