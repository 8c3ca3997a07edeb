//! Messages: what a payload says.

use crate::field::FieldFault;
use crate::hidden::Hidden;

/// Why a payload is not the message that its kind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {field} of {message}")]
pub struct PayloadError {
    /// The message, by its name in the protocol.
    pub message: &'static str,
    /// The field, by its name in the protocol; `a field` where its header is cut short.
    pub field: &'static str,
    /// What is wrong with it.
    #[source]
    pub fault: FieldFault,
}

/// What a frame carries.
pub(crate) trait Payload: Sized {
    /// How the protocol's description shows it: tag, name and type of each field.
    #[cfg(test)]
    const FIELDS: &'static [(u16, &'static str, &'static str)];

    fn write(&self, out: &mut Vec<u8>);
    fn read(payload: Vec<u8>) -> Result<Self, PayloadError>;
}

/// Raw bytes.
impl Payload for Hidden {
    #[cfg(test)]
    const FIELDS: &'static [(u16, &'static str, &'static str)] = &[(0, "raw bytes", "")];

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(payload: Vec<u8>) -> Result<Self, PayloadError> {
        Ok(payload.into())
    }
}

/// Makes messages out of lists of `TAG name: type`, from which both directions and the description come.
macro_rules! messages {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis $name:ident { $($(#[$field_attribute:meta])* $tag:literal $field:ident: $type:ty,)* }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $visibility struct $name {
            $($(#[$field_attribute])* $visibility $field: $type,)*
        }

        impl $name {
            fn read_fields(payload: &[u8]) -> Result<Self, $crate::message::PayloadError> {
                let wrong = |field, fault| {
                    $crate::message::PayloadError { message: stringify!($name), field, fault }
                };
                $(let mut $field = <$type as $crate::field::Field>::Held::default();)*
                for part in $crate::field::Fields::of(payload) {
                    let (tag, _bytes) = part.map_err(|fault| wrong("a field", fault))?;
                    match tag {
                        $($tag => <$type as $crate::field::Field>::read(&mut $field, _bytes)
                            .map_err(|fault| wrong(stringify!($field), fault))?,)*
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: <$type as $crate::field::Field>::finish($field)
                        .map_err(|fault| wrong(stringify!($field), fault))?,)*
                })
            }
        }

        impl $crate::message::Payload for $name {
            #[cfg(test)]
            const FIELDS: &'static [(u16, &'static str, &'static str)] =
                &[$(($tag, stringify!($field), stringify!($type)),)*];

            fn write(&self, _out: &mut Vec<u8>) {
                $(<$type as $crate::field::Field>::write(&self.$field, $tag, _out);)*
            }

            fn read(payload: Vec<u8>) -> Result<Self, $crate::message::PayloadError> {
                Self::read_fields(&payload)
            }
        }

        // One message may stand in a field of another.
        impl $crate::field::Value for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::message::Payload::write(self, out);
            }

            fn get(bytes: &[u8]) -> Result<Self, $crate::field::FieldFault> {
                Self::read_fields(bytes).map_err(|error| error.fault)
            }
        }
    )*};
}

pub(crate) use messages;
