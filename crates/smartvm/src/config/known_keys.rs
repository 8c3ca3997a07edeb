//! The keys that a configuration may have, read off the types themselves.
//!
//! serde's derived code tells a deserializer the fields of every struct it wants. [`Tracer`] is one
//! that notes them and invents a value for each, so the list can never fall behind the types.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

/// How alike two keys must be for one to be offered in place of the other, between 0 and 1.
const ALIKE: f64 = 0.8;

/// The keys of each place: `""` is the top, `drives[]` any drive.
#[derive(Debug)]
pub(super) struct KnownKeys(BTreeMap<String, &'static [&'static str]>);

impl KnownKeys {
    /// The keys that a `T` is read from.
    pub(super) fn of<T: for<'de> Deserialize<'de>>() -> Self {
        let mut found = BTreeMap::new();
        // Only the way is of interest: a type that checks its values may refuse the invented ones.
        drop(T::deserialize(Tracer { place: String::new(), found: &mut found }));
        Self(found)
    }

    /// The key most like `key`: one that is known at `place`, else one that is known elsewhere, with
    /// its place.
    pub(super) fn suggest(&self, place: &str, key: &str) -> Option<String> {
        let here = self.0.get(place).into_iter().flat_map(|keys| keys.iter());
        let best_here = best(key, here.map(|known| (*known, (*known).to_owned())));
        best_here.or_else(|| {
            let anywhere = self
                .0
                .iter()
                .flat_map(|(place, keys)| keys.iter().map(move |known| (*known, at(place, known))));
            best(key, anywhere)
        })
    }
}

/// The most alike of `known`, each a key with what to call it.
fn best<'a>(key: &str, known: impl Iterator<Item = (&'a str, String)>) -> Option<String> {
    let key = key.to_lowercase();
    known
        .map(|(known, name)| (strsim::jaro_winkler(&key, &known.to_lowercase()), name))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn at(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

/// A deserializer that notes the fields of every struct on its way.
struct Tracer<'a> {
    place: String,
    found: &'a mut BTreeMap<String, &'static [&'static str]>,
}

/// Nothing is wrong with the input, as there is none.
#[derive(Debug)]
struct NoValue;

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value")
    }
}

impl std::error::Error for NoValue {}

impl serde::de::Error for NoValue {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        // A number is taken by what has several forms, too.
        visitor.visit_u64(1)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_bool(false)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_u64(1)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_seq(OneElement(Some(Self {
            place: format!("{}[]", self.place),
            found: self.found,
        })))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        // Its keys are the user's own.
        visitor.visit_map(Fields { left: Vec::new(), current: "", place: "", found: self.found })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.found.insert(self.place.clone(), fields);
        // An alias is listed like a field, and would be the same field twice. Ours only differ in
        // case and underscores.
        let mut left: Vec<_> = fields.to_vec();
        left.sort_by_key(|field| plain(field));
        left.dedup_by_key(|field| plain(field));
        visitor.visit_map(Fields { left, current: "", place: &self.place, found: self.found })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        visitor.visit_enum(FirstVariant(variants.first().copied().unwrap_or_default()))
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// A field's name without what an alias of it may change.
fn plain(field: &str) -> String {
    field.replace('_', "").to_lowercase()
}

/// One element, which stands for all of a list.
struct OneElement<'a>(Option<Tracer<'a>>);

impl<'de> SeqAccess<'de> for OneElement<'_> {
    type Error = NoValue;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NoValue> {
        self.0.take().map(|tracer| seed.deserialize(tracer)).transpose()
    }
}

/// Every field of a struct, each once.
struct Fields<'a> {
    left: Vec<&'static str>,
    current: &'static str,
    place: &'a str,
    found: &'a mut BTreeMap<String, &'static [&'static str]>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = NoValue;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, NoValue> {
        let Some(field) = self.left.pop() else { return Ok(None) };
        self.current = field;
        let name: StrDeserializer<'_, NoValue> = field.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NoValue> {
        seed.deserialize(Tracer { place: at(self.place, self.current), found: self.found })
    }
}

/// The first variant of an enum, which has no content in a configuration.
struct FirstVariant(&'static str);

impl<'de> EnumAccess<'de> for FirstVariant {
    type Error = NoValue;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), NoValue> {
        let name: StrDeserializer<'_, NoValue> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for FirstVariant {
    type Error = NoValue;

    fn unit_variant(self) -> Result<(), NoValue> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, NoValue> {
        Err(NoValue)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NoValue> {
        Err(NoValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VmConfig;

    #[test]
    fn every_place_of_a_configuration_is_found() {
        let known = KnownKeys::of::<VmConfig>();
        for (place, key) in [
            ("", "bootSource"),
            ("bootSource", "initrdPath"),
            ("machineConfig", "hugePages"),
            ("drives[]", "driveId"),
            ("drives[]", "partUuid"),
            ("drives[].rateLimiter.ops", "oneTimeBurst"),
            ("networkInterfaces[]", "mtu"),
            ("networkInterfaces[].txRateLimiter.bandwidth", "refillTime"),
            ("vsock", "guestCid"),
            ("balloon", "freePageHinting"),
            ("mmds", "data"),
            ("logger", "showLogOrigin"),
            ("metrics", "properties"),
            ("entropy.rateLimiter", "bandwidth"),
            ("serial.rateLimiter", "size"),
            ("pmem[]", "rootDevice"),
            ("memoryHotplug", "blockSizeMib"),
            ("cpuConfig.cpuidModifiers[].modifiers[]", "register"),
        ] {
            let keys = known.0.get(place).unwrap_or_else(|| panic!("{place} is not known"));
            assert!(keys.contains(&key), "{place}.{key}: {keys:?}");
        }
        assert!(!known.0.contains_key("mmds.data"), "its keys are the user's own");
    }

    #[test]
    fn a_key_of_the_same_place_is_offered_first() {
        let known = KnownKeys::of::<VmConfig>();
        let suggest = |place: &str, key: &str| known.suggest(place, key);
        assert_eq!(suggest("drives[]", "isReadonly").as_deref(), Some("isReadOnly"));
        assert_eq!(suggest("", "drive").as_deref(), Some("drives"));
        assert_eq!(suggest("", "kernelImagePath").as_deref(), Some("bootSource.kernelImagePath"));
        assert_eq!(suggest("", "colour"), None);
    }
}
