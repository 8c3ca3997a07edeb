//! Fields: the parts of a message.

use crate::hidden::Hidden;

/// Before the bytes of a field: its tag and its length.
const FIELD_HEADER: usize = 6;

/// How often a list's tag may come.
const MAX_LIST: usize = 32_768;

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// A field that is not a list came twice.
    #[error("it came twice")]
    Twice,
    /// A field that must be there is not.
    #[error("it is missing")]
    Missing,
    /// The bytes are not as many as the type has.
    #[error("its length does not fit its type")]
    Length,
    /// The bytes say nothing that the type knows.
    #[error("its value is not one of its type")]
    Value,
    /// A list has more entries than one may have.
    #[error("it came more than {MAX_LIST} times")]
    TooMany,
    /// A message within the message is cut short.
    #[error("a field within it is cut short")]
    Truncated,
}

/// What can be the bytes of a field.
pub(crate) trait Value: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Result<Self, FieldFault>;
}

/// What a message has under a tag: a value, perhaps a value, or any number of them.
pub(crate) trait Field: Sized {
    /// What was read of it so far.
    type Held: Default;

    fn write(&self, tag: u16, out: &mut Vec<u8>);
    fn read(held: &mut Self::Held, bytes: &[u8]) -> Result<(), FieldFault>;
    fn finish(held: Self::Held) -> Result<Self, FieldFault>;
}

impl<T: Value> Field for T {
    type Held = Option<T>;

    fn write(&self, tag: u16, out: &mut Vec<u8>) {
        write_field(tag, self, out);
    }

    fn read(held: &mut Self::Held, bytes: &[u8]) -> Result<(), FieldFault> {
        match held.replace(T::get(bytes)?) {
            None => Ok(()),
            Some(_) => Err(FieldFault::Twice),
        }
    }

    fn finish(held: Self::Held) -> Result<Self, FieldFault> {
        held.ok_or(FieldFault::Missing)
    }
}

impl<T: Value> Field for Option<T> {
    type Held = Self;

    fn write(&self, tag: u16, out: &mut Vec<u8>) {
        if let Some(value) = self {
            write_field(tag, value, out);
        }
    }

    fn read(held: &mut Self, bytes: &[u8]) -> Result<(), FieldFault> {
        <T as Field>::read(held, bytes)
    }

    fn finish(held: Self) -> Result<Self, FieldFault> {
        Ok(held)
    }
}

impl<T: Value> Field for Vec<T> {
    type Held = Self;

    fn write(&self, tag: u16, out: &mut Vec<u8>) {
        for value in self {
            write_field(tag, value, out);
        }
    }

    fn read(held: &mut Self, bytes: &[u8]) -> Result<(), FieldFault> {
        if held.len() == MAX_LIST {
            return Err(FieldFault::TooMany);
        }
        held.push(T::get(bytes)?);
        Ok(())
    }

    fn finish(held: Self) -> Result<Self, FieldFault> {
        Ok(held)
    }
}

fn write_field<T: Value>(tag: u16, value: &T, out: &mut Vec<u8>) {
    out.extend(tag.to_le_bytes());
    let length_at = out.len();
    out.extend([0; 4]);
    value.put(out);
    // A frame is refused long before a field can be longer than this number tells.
    let length = u32::try_from(out.len() - length_at - 4).unwrap_or(u32::MAX);
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

/// The fields of a payload, one after the other.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u16, &'a [u8]), FieldFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.rest);
        let [t0, t1, l0, l1, l2, l3, after @ ..] = rest else {
            return Some(Err(FieldFault::Truncated));
        };
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
        let split = usize::try_from(length).ok().and_then(|length| after.split_at_checked(length));
        let Some((bytes, after)) = split else {
            return Some(Err(FieldFault::Truncated));
        };
        debug_assert_eq!(rest.len(), FIELD_HEADER + bytes.len() + after.len());
        self.rest = after;
        Some(Ok((u16::from_le_bytes([*t0, *t1]), bytes)))
    }
}

impl Value for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        Ok(bytes.to_vec())
    }
}

impl Value for Hidden {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        Ok(bytes.into())
    }
}

impl Value for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(FieldFault::Value),
            _ => Err(FieldFault::Length),
        }
    }
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Value for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
                bytes.try_into().map(Self::from_le_bytes).map_err(|_| FieldFault::Length)
            }
        }
    )*};
}

number!(u16, u32, u64, i64);

impl<const N: usize> Value for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        bytes.try_into().map_err(|_| FieldFault::Length)
    }
}
